-- totals: all that was counted, of stored and of not yet stored minutes, read together: a minute that is stored
-- in between must be in one of the two. Of a long backlog the oldest hour is read, so that the figures wait
-- rather than go back.
-- KEYS: minutes totals
-- ARGV: prefix
-- MAKES: wait next minute
-- USES: line
-- returns {events waiting, {field, number, …} of the totals, {field, number, …} of a minute, …}
local waiting = 0
for _, line in ipairs(all_lines()) do
  waiting = waiting + redis.call("ZCARD", wait_of(line)) + redis.call("ZCARD", next_of(line))
end
local found = { waiting, redis.call("HGETALL", totals) }
for _, minute in ipairs(redis.call("SORT", minutes, "LIMIT", 0, 60)) do
  found[#found + 1] = redis.call("HGETALL", minute_of(minute))
end
return found
