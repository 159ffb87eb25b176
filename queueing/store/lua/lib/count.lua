-- count: what happened in this minute, for the statistics (`queueing.stats.counters` reads the fields). One hash a
-- minute; the first new field gives the hash its two days, and names the minute to the rollup.
-- KEYS: minutes
-- MAKES: minute
-- CONST: DAY_S
local function noted(key, minute)
  redis.call("EXPIRE", key, 2 * DAY_S)
  redis.call("SADD", minutes, minute)
  redis.call("EXPIRE", minutes, 2 * DAY_S)
end
local function count(now, field)
  local minute = string.format("%d", math.floor(now / 60))
  local key = minute_of(minute)
  if redis.call("HINCRBY", key, field, 1) == 1 then noted(key, minute) end
end
local function peak(now, field, value)
  local minute = string.format("%d", math.floor(now / 60))
  local key = minute_of(minute)
  if value <= (tonumber(redis.call("HGET", key, field)) or 0) then return end
  redis.call("HSET", key, field, value)
  noted(key, minute)
end
local function bucket(seconds)
  if seconds <= 0.001 then return 0 end
  return math.min(67, math.ceil(10 * math.log10(seconds * 1000)))
end
