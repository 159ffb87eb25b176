-- finish: end a running event with its one final message, only under its current token; frees the call's
-- place where `free` says that nothing of it runs on.
-- KEYS: event messages open running calls last durations day
-- ARGV: token id status payload free fn duration ttl
-- TIME: now
-- returns {"finished", open_left} | {"stale"}
local state = redis.call("HMGET", event, "token", "state")
if free == "1" then redis.call("ZREM", calls, token) end
if state[1] ~= token or state[2] ~= "running" then return { "stale" } end
redis.call("HSET", event, "state", status, "ended", now)
redis.call("HDEL", event, "body", "request")
redis.call("EXPIRE", event, ttl)
redis.call("ZREM", running, id)
redis.call("SREM", open, id)
local left = redis.call("SCARD", open)
local n = redis.call("XADD", messages, "MAXLEN", "~", 2000, "0-*", "d", payload, "e", id, "f", "1")
redis.call("EXPIRE", messages, ttl)
redis.call("PUBLISH", messages, n .. " 1 " .. left .. " " .. payload)
redis.call("SET", last, fn, "EX", 30)
if status == "completed" and duration ~= "" then
  redis.call("LPUSH", durations, duration)
  redis.call("LTRIM", durations, 0, 63)
  redis.call("EXPIRE", durations, 604800)
end
redis.call("HINCRBY", day, status, 1)
redis.call("EXPIRE", day, 691200)
return { "finished", left }
