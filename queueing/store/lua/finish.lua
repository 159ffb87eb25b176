-- finish: end a running event with its one final message, only under its current token; frees the call's slot if
-- `free` is "1": nothing of it runs any more. `took`: how long its function ran, in seconds; "" if that is not to be
-- measured, "0" if it is as long as its slot was taken.
-- KEYS: event messages open running calls last service day
-- ARGV: token slot id status payload free fn took ttl
-- TIME: now
-- and then: payloads to publish before the final one
-- returns {"finished", open_left} | {"stale"}
-- USES: count kept_bytes publish
-- CONST: DAY_S WEEK_AND_DAY_S
local state = redis.call("HMGET", event, "token", "state", "started", "lane")
if free == "1" then redis.call("ZREM", calls, slot) end
if state[1] ~= token or state[2] ~= "running" then return { "stale" } end
redis.call("HSET", event, "state", status, "ended", now)
redis.call("HDEL", event, "body", "request")
forget_bytes(event)
redis.call("EXPIRE", event, ttl)
redis.call("ZREM", running, id)
redis.call("SREM", open, id)
local left = redis.call("SCARD", open)
local payloads = { unpack(ARGV, rest) }
payloads[#payloads + 1] = payload
publish(messages, id, payloads, now, ttl, true, left)
redis.call("SET", last, fn, "EX", 30)
-- How long calls take, newest first, for the ETA of those behind them (`queueing.eta`).
if took ~= "" and status ~= "cancelled" then
  local about = redis.call("HMGET", event, "started", "batch")
  local known = redis.call("HGET", service, "t:" .. fn)
  -- Pages that make functions while they run (`gr.render`) may make any number of them.
  if not known and redis.call("HLEN", service) > 400 then redis.call("DEL", service) end
  local times = string.format("%.4g", tonumber(took) > 0 and took or math.max(now - (about[1] or now), 0)) .. (known and "," .. known or "")
  if #times > 1000 then times = string.match(string.sub(times, 1, 1000), "^(.*),") end
  redis.call("HSET", service, "t:" .. fn, times, "b:" .. fn, about[2] or 0)
  redis.call("EXPIRE", service, 7 * DAY_S)
end
count(now, status .. ":" .. bucket(now - state[3]) .. ":" .. state[4] .. ":" .. fn)
if redis.call("HINCRBY", day, status, 1) == 1 then redis.call("EXPIRE", day, WEEK_AND_DAY_S) end
return { "finished", left }
