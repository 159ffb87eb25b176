-- emit: append messages to a running event's stream and announce them, under the event's current token.
-- `published` is how many of its call's messages the event's channel has then: where another dispatcher continues.
-- KEYS: event messages
-- ARGV: token id ttl published
-- and then: payloads
-- returns {"sent"} | {"stale"}
-- TIME: now
-- USES: kept_bytes publish
local state = redis.call("HMGET", event, "token", "state", "told")
if state[1] ~= token or state[2] ~= "running" then return { "stale" } end
-- The connection broke behind the first try of this very call.
if published ~= "0" and tonumber(state[3] or 0) >= tonumber(published) then return { "sent" } end
publish(messages, id, { unpack(ARGV, rest) }, now, ttl, false)
if published ~= "0" then redis.call("HSET", event, "told", published) end
return { "sent" }
