-- held: how many bytes the Space's calls keep here: inputs of events until they end, messages and answers until
-- their time is over. `held` has them by their keys, and together as `all`; `held_until` has when Redis drops each
-- by itself. All messages of an event are dropped within eight days of its join, so the two are kept as long.
-- KEYS: held held_until
-- CONST: WEEK_AND_DAY_S
local function held_bytes()
  return tonumber(redis.call("HGET", held, "all") or 0)
end
local function let_go(key)
  local bytes = redis.call("HGET", held, key)
  if not bytes then return end
  redis.call("HDEL", held, key)
  redis.call("ZREM", held_until, key)
  redis.call("HINCRBY", held, "all", -tonumber(bytes))
end
local function hold(key, bytes, now, ttl)
  redis.call("HINCRBY", held, "all", bytes)
  if redis.call("ZADD", held_until, now + ttl, key) == 0 then
    redis.call("HINCRBY", held, key, bytes)
    return
  end
  redis.call("HSET", held, key, bytes)
  redis.call("EXPIRE", held, WEEK_AND_DAY_S)
  redis.call("EXPIRE", held_until, WEEK_AND_DAY_S)
end
local function let_go_of_dropped(now)
  for _, key in ipairs(redis.call("ZRANGEBYSCORE", held_until, "-inf", now, "LIMIT", 0, 100)) do let_go(key) end
end
