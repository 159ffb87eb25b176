-- requeue: a running event whose container died (`deaths`) or whose batch failed (`splits`) goes back to the
-- front, under its current token. Past `most` of that kind it is refused: the caller fails it instead.
-- KEYS: event next running
-- ARGV: token id kind most
-- returns {"requeued", times} | {"spent", times} | {"stale"}
-- USES: count
local state = redis.call("HMGET", event, "token", "state", "seq")
if state[1] ~= token or state[2] ~= "running" then return { "stale" } end
local times = redis.call("HINCRBY", event, kind, 1)
if times > tonumber(most) then return { "spent", times } end
-- It begins anew, so its messages count from one again.
redis.call("HSET", event, "state", "pending", "token", "", "told", 0)
redis.call("ZREM", running, id)
redis.call("ZADD", next, state[3], id)
count(redis.call("TIME")[1], "retried::" .. table.concat(redis.call("HMGET", event, "lane", "fn"), ":"))
return { "requeued", times }
