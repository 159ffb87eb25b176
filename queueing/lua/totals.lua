-- totals: all that was counted, of stored and of not yet stored minutes, read together: a minute that is stored
-- in between must be in one of the two. Of a long backlog the oldest hour is read, so that the figures wait
-- rather than go back.
-- KEYS: minutes totals
-- returns {{field, number, …} of the totals, {field, number, …} of a minute, …}
local found = { redis.call("HGETALL", totals) }
for _, minute in ipairs(redis.call("SORT", minutes, "LIMIT", 0, 60)) do
  found[#found + 1] = redis.call("HGETALL", minutes .. ":" .. minute)
end
return found
