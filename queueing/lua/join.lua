-- join: append one event to its lane, or refuse it.
-- KEYS: cfg seq wait next idem event open visit last lease seen
-- ARGV: id lane origin channel fn after batch side_limit ttl body request visit_id wake repeatable present
-- TIME: now
-- returns {"accepted", position, size, lease_alive} | {"duplicate", id} | {"refused", text}
--         | {"closed"} | {"full", size, max_size}
-- A repeated submit must find its first event even while the queue refuses new ones.
if repeatable == "1" then
  local first = redis.call("GET", idem)
  if first then return { "duplicate", first } end
end
local refuse = redis.call("HGET", cfg, "refuse")
if refuse and refuse ~= "" then return { "refused", refuse } end
if origin == "api" and redis.call("HGET", cfg, "api_open") == "0" then return { "closed" } end

-- A step right after one its session has just finished goes behind the running calls, not to the back.
local follows = after ~= "" and redis.call("GET", last) == after
local size = redis.call("ZCARD", wait)
local max_size = tonumber(redis.call("HGET", cfg, "max_size") or "")
if lane == "side" then max_size = tonumber(side_limit) end
if not follows and max_size and size >= max_size then return { "full", size, max_size } end

local place = redis.call("INCR", seq)
redis.call("ZADD", follows and next or wait, place, id)
redis.call("HSET", event, "state", "pending", "lane", lane, "origin", origin, "channel", channel, "fn", fn,
  "batch", batch, "seq", place, "joined", now, "body", body, "request", request, "visit", visit_id)
redis.call("EXPIRE", event, ttl)
redis.call("SADD", open, id)
redis.call("EXPIRE", open, ttl)
if repeatable == "1" then redis.call("SET", idem, id, "EX", 86400) end
if visit_id ~= "" then
  redis.call("SADD", visit, id)
  redis.call("EXPIRE", visit, 86400)
end
-- A page that never opens its stream is as gone as one that closed it.
if present == "1" then redis.call("ZADD", seen, "NX", now, channel) end
redis.call("PUBLISH", wake, "join")
local position = follows and 0 or size
return { "accepted", position, follows and size or size + 1, redis.call("EXISTS", lease) }
