-- release: release the lease of a replica, unless there is work again: a join that saw it alive woke nobody else.
-- `leave`: what runs goes on in the container without us. It goes back to the front for the next dispatcher to take
-- it up, which is nobody's loss: it is counted apart (`moves`), for those that must not be begun a second time.
-- KEYS: lease running
-- ARGV: holder replica force leave prefix
-- MAKES: wait next calls event
-- USES: line slots
-- returns {"released"} | {"pending"} | {"lost"}
if redis.call("GET", lease) ~= holder then return { "lost" } end
local pending = 0
for _, line in ipairs(all_lines()) do
  local waiting = redis.call("ZCARD", wait_of(line)) + redis.call("ZCARD", next_of(line))
  if waiting + redis.call("ZCARD", calls_of(line)) == 0 then redis.call("ZREM", lines, line) end
  pending = pending + waiting
end
if force ~= "1" and pending > 0 then return { "pending" } end
redis.call("DEL", lease)
if leave ~= "1" then return { "released" } end
for _, id in ipairs(redis.call("ZRANGE", running, 0, -1)) do
  local event = event_of(id)
  local about = redis.call("HMGET", event, "lane", "seq", "group", "replica")
  local lane, seq, group, ran = unpack(about, 1, 4)
  local is_mine = (ran or "") == replica
  if is_mine then redis.call("ZREM", running, id) end
  if is_mine and lane then
    redis.call("HSET", event, "state", "pending", "token", "")
    redis.call("HINCRBY", event, "moves", 1)
    local line = line_of(lane, group)
    redis.call("ZADD", next_of(line), seq, id)
    keep_line(line)
  end
end
forget_calls(function(other) return other == replica end)
return { "released" }
