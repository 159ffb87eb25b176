-- cancel: a pending event leaves at once with its final message; a running one is flagged for its dispatcher.
-- KEYS: event wait next messages open day
-- ARGV: id channel payload ttl wake
-- TIME: now
-- returns {"cancelled"} | {"running"} | {"unknown"}
local fields = redis.call("HMGET", event, "state", "channel")
if not fields[1] or fields[2] ~= channel then return { "unknown" } end
if fields[1] == "running" then
  redis.call("HSET", event, "cancel", "1")
  redis.call("PUBLISH", wake, "cancel " .. id)
  return { "running" }
end
if fields[1] ~= "pending" then return { "unknown" } end
redis.call("ZREM", wait, id)
redis.call("ZREM", next, id)
redis.call("HSET", event, "state", "cancelled", "ended", now)
redis.call("HDEL", event, "body", "request")
redis.call("EXPIRE", event, ttl)
redis.call("SREM", open, id)
local n = redis.call("XADD", messages, "MAXLEN", "~", 2000, "0-*", "d", payload, "e", id, "f", "1")
redis.call("EXPIRE", messages, ttl)
redis.call("PUBLISH", messages, n .. " 1 " .. redis.call("SCARD", open) .. " " .. payload)
redis.call("HINCRBY", day, "cancelled", 1)
redis.call("EXPIRE", day, 691200)
return { "cancelled" }
