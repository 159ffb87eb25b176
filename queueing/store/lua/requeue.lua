-- requeue: a running event whose container died (`deaths`), was stopped on order (`moves`), whose batch failed
-- (`splits`), or that had not begun (`backs`) goes back to the front, under its current token. Past `most` of that
-- kind it is refused: the caller fails it instead.
-- A death counts for the input too, for a day, so that the same input sent again kills no further container;
-- one death counts once, however many events with this input it interrupted (they come within three seconds), but
-- never less than this event's own deaths.
-- KEYS: event running input_deaths
-- ARGV: token id kind most prefix
-- MAKES: next
-- TIME: now
-- returns {"requeued", times} | {"spent", times} | {"stale"}
-- USES: count line
-- CONST: DAY_S
local state = redis.call("HMGET", event, "token", "state", "seq", "lane", "group")
if state[1] ~= token or state[2] ~= "running" then return { "stale" } end
local times = redis.call("HINCRBY", event, kind, 1)
if kind == "deaths" then
  local count, at = string.match(redis.call("GET", input_deaths) or "0 0", "^(%S+) (%S+)$")
  if now - at > 3 or times > tonumber(count) then redis.call("SET", input_deaths, (count + 1) .. " " .. now, "EX", DAY_S) end
end
if times > tonumber(most) then return { "spent", times } end
-- It begins anew, on any replica, so its messages count from one again.
redis.call("HSET", event, "state", "pending", "token", "", "told", 0, "replica", "")
redis.call("ZREM", running, id)
local line = line_of(state[4], state[5])
redis.call("ZADD", next_of(line), state[3], id)
keep_line(line)
if kind ~= "backs" then count(now, "retried::" .. table.concat(redis.call("HMGET", event, "lane", "fn"), ":")) end
return { "requeued", times }
