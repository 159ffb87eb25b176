-- join: append one event to its lane, or refuse it.
-- KEYS: cfg seq wait next idem event open visit last lease seen deaths
-- ARGV: id lane origin channel fn after batch side_limit ttl body request visit_id wake repeatable present input max_deaths
-- TIME: now
-- returns {"accepted", position, size, lease_alive} | {"duplicate", id} | {"reused"} | {"refused", text}
--         | {"closed"} | {"full", size, max_size} | {"poison"}
-- A repeated submit must find its first event even while the queue refuses new ones.
if repeatable == "1" then
  local first = redis.call("GET", idem)
  if first then
    -- A write, so that a WAIT behind this call waits for the first submit's writes too.
    redis.call("EXPIRE", idem, 86400)
    local first_id, first_input = string.match(first, "^(%S+) ?(%S*)$")
    if first_input ~= "" and first_input ~= input then return { "reused" } end
    return { "duplicate", first_id }
  end
end
-- The connection broke behind the first try of this very call and the client sent it again.
if redis.call("EXISTS", event) == 1 then return { "accepted", 0, 1, 0 } end
local refuse = redis.call("HGET", cfg, "refuse")
if refuse and refuse ~= "" then return { "refused", refuse } end
if origin == "api" and redis.call("HGET", cfg, "api_open") == "0" then return { "closed" } end
if tonumber(string.match(redis.call("GET", deaths) or "0", "^%d+")) >= tonumber(max_deaths) then
  return { "poison" }
end

-- A step right after one its session has just finished goes behind the running calls, not to the back.
local follows = after ~= "" and redis.call("GET", last) == after
local size = redis.call("ZCARD", wait)
local max_size = tonumber(redis.call("HGET", cfg, "max_size") or "")
if lane == "side" then max_size = tonumber(side_limit) end
if not follows and max_size and size >= max_size then return { "full", size, max_size } end

local place = redis.call("INCR", seq)
redis.call("ZADD", follows and next or wait, place, id)
redis.call("HSET", event, "state", "pending", "lane", lane, "origin", origin, "channel", channel, "fn", fn,
  "batch", batch, "seq", place, "joined", now, "input", input, "body", body, "request", request, "visit", visit_id)
redis.call("EXPIRE", event, ttl)
redis.call("SADD", open, id)
redis.call("EXPIRE", open, ttl)
if repeatable == "1" then redis.call("SET", idem, id .. " " .. input, "EX", 86400) end
if visit_id ~= "" then
  redis.call("SADD", visit, id)
  redis.call("EXPIRE", visit, 86400)
end
-- A page that never opens its stream is as gone as one that closed it.
if present == "1" then redis.call("ZADD", seen, "NX", now, channel) end
redis.call("PUBLISH", wake, "join")
local position = follows and 0 or size
return { "accepted", position, follows and size or size + 1, redis.call("EXISTS", lease) }
