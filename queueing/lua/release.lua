-- release: give the lease back, unless there is work again: a join that saw it alive woke nobody else.
-- `leave`: what runs goes on in the container without us. It goes back to the front for whoever comes next to take
-- it up, which is nobody's loss: it is counted apart (`moves`), for those that must not be begun a second time.
-- KEYS: lease running calls_main calls_side wait_main next_main wait_side next_side
-- ARGV: holder force leave prefix
-- returns {"released"} | {"pending"} | {"lost"}
if redis.call("GET", lease) ~= holder then return { "lost" } end
local pending = redis.call("ZCARD", wait_main) + redis.call("ZCARD", next_main)
  + redis.call("ZCARD", wait_side) + redis.call("ZCARD", next_side)
if force ~= "1" and pending > 0 then return { "pending" } end
redis.call("DEL", lease)
if leave ~= "1" then return { "released" } end
for _, id in ipairs(redis.call("ZRANGE", running, 0, -1)) do
  local event = prefix .. "ev:" .. id
  local lane, seq = unpack(redis.call("HMGET", event, "lane", "seq"))
  if lane then
    redis.call("HSET", event, "state", "pending", "token", "")
    redis.call("HINCRBY", event, "moves", 1)
    redis.call("ZADD", lane == "side" and next_side or next_main, seq, id)
  end
end
redis.call("DEL", running, calls_main, calls_side)
return { "released" }
