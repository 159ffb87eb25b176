-- emit: append one message to a running event's stream and announce it, under the event's current token.
-- KEYS: event messages
-- ARGV: token payload id ttl
-- returns {"sent"} | {"stale"}
local state = redis.call("HMGET", event, "token", "state")
if state[1] ~= token or state[2] ~= "running" then return { "stale" } end
local n = redis.call("XADD", messages, "MAXLEN", "~", 2000, "0-*", "d", payload, "e", id, "f", "0")
redis.call("EXPIRE", messages, ttl)
redis.call("PUBLISH", messages, n .. " 0 1 " .. payload)
return { "sent" }
