-- held: how many bytes the Space's calls keep here: inputs of events until they end, messages and answers until
-- their time is over. `held` has them by their keys, and together as `all`; `held_until` has when Redis drops each
-- by itself. Nothing is kept for longer than a week, so the two go a week after the last change.
-- KEYS: held held_until
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
  redis.call("HINCRBY", held, key, bytes)
  redis.call("HINCRBY", held, "all", bytes)
  redis.call("ZADD", held_until, now + ttl, key)
  redis.call("EXPIRE", held, 604800)
  redis.call("EXPIRE", held_until, 604800)
end
local function let_go_of_dropped(now)
  for _, key in ipairs(redis.call("ZRANGEBYSCORE", held_until, "-inf", now, "LIMIT", 0, 100)) do let_go(key) end
end
