-- cancel: a pending event leaves at once with its final message; a running one is flagged for its dispatcher.
-- `leaves` "1": its visitor had enough of waiting, which statistics count by how long that was.
-- KEYS: event messages open day promises
-- ARGV: id channel payload ttl wake prefix leaves
-- MAKES: wait shares next
-- TIME: now
-- returns {"cancelled"} | {"running"} | {"unknown"}
-- USES: count kept_bytes publish line
-- CONST: WEEK_AND_DAY_S
local fields = redis.call("HMGET", event, "state", "channel", "visitor", "lane", "group")
if not fields[1] or fields[2] ~= channel then return { "unknown" } end
if fields[1] == "running" then
  redis.call("HSET", event, "cancel", "1")
  redis.call("PUBLISH", wake, "cancel " .. id)
  return { "running" }
end
if fields[1] ~= "pending" then return { "unknown" } end
local visitor, line = fields[3], line_of(fields[4], fields[5])
local wait, shares = wait_of(line), shares_of(line)
if redis.call("ZREM", wait, id) == 1 and visitor
  and redis.call("HINCRBY", shares, "n:" .. visitor, -1) <= 0 then
  redis.call("HDEL", shares, "n:" .. visitor, "t:" .. visitor)
end
if redis.call("EXISTS", wait) == 0 then redis.call("DEL", shares) end
redis.call("ZREM", next_of(line), id)
redis.call("HDEL", promises, id)
redis.call("HSET", event, "state", "cancelled", "ended", now)
redis.call("HDEL", event, "body", "request")
forget_bytes(event)
redis.call("EXPIRE", event, ttl)
redis.call("SREM", open, id)
publish(messages, id, { payload }, now, ttl, true, redis.call("SCARD", open))
local about = redis.call("HMGET", event, "lane", "fn", "joined", "started")
local what = about[1] .. ":" .. about[2]
count(now, "cancelled::" .. what)
if leaves == "1" and not about[4] then count(now, "left:" .. bucket(now - about[3]) .. ":" .. what) end
if redis.call("HINCRBY", day, "cancelled", 1) == 1 then redis.call("EXPIRE", day, WEEK_AND_DAY_S) end
return { "cancelled" }
