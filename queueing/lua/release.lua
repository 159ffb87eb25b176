-- release: give the lease back, unless there is work again: a join that saw it alive woke nobody else.
-- KEYS: lease wait_main next_main wait_side next_side
-- ARGV: holder force
-- returns {"released"} | {"pending"} | {"lost"}
if redis.call("GET", lease) ~= holder then return { "lost" } end
local pending = redis.call("ZCARD", wait_main) + redis.call("ZCARD", next_main)
  + redis.call("ZCARD", wait_side) + redis.call("ZCARD", next_side)
if force ~= "1" and pending > 0 then return { "pending" } end
redis.call("DEL", lease)
return { "released" }
