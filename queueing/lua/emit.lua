-- emit: append messages to a running event's stream and announce them, under the event's current token.
-- `told` is how many of its call's messages the event's channel has had then: where another dispatcher goes on.
-- KEYS: event messages
-- ARGV: token id ttl told
-- and then: payloads
-- returns {"sent"} | {"stale"}
local state = redis.call("HMGET", event, "token", "state")
if state[1] ~= token or state[2] ~= "running" then return { "stale" } end
for i = rest, #ARGV do
  local n = redis.call("XADD", messages, "MAXLEN", "~", 2000, "0-*", "d", ARGV[i], "e", id, "f", "0")
  redis.call("PUBLISH", messages, n .. " 0 1 " .. ARGV[i])
end
redis.call("EXPIRE", messages, ttl)
if told ~= "0" then redis.call("HSET", event, "told", told) end
return { "sent" }
