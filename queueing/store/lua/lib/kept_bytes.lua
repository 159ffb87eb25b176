-- kept_bytes: how many bytes the Space's calls keep here: inputs of events until they end, messages and answers until
-- their time is over. The hash `kept_bytes` has them by key, and their sum as `all`; `kept_until` has the time at
-- which Redis drops each. All messages of an event are dropped within eight days of its join, so the two are kept as
-- long.
-- KEYS: kept_bytes kept_until
-- CONST: WEEK_AND_DAY_S
local function total_bytes()
  return tonumber(redis.call("HGET", kept_bytes, "all") or 0)
end
local function forget_bytes(key)
  local bytes = redis.call("HGET", kept_bytes, key)
  if not bytes then return end
  redis.call("HDEL", kept_bytes, key)
  redis.call("ZREM", kept_until, key)
  redis.call("HINCRBY", kept_bytes, "all", -tonumber(bytes))
end
local function keep_bytes(key, bytes, now, ttl)
  redis.call("HINCRBY", kept_bytes, "all", bytes)
  if redis.call("ZADD", kept_until, now + ttl, key) == 0 then
    redis.call("HINCRBY", kept_bytes, key, bytes)
    return
  end
  redis.call("HSET", kept_bytes, key, bytes)
  redis.call("EXPIRE", kept_bytes, WEEK_AND_DAY_S)
  redis.call("EXPIRE", kept_until, WEEK_AND_DAY_S)
end
local function forget_expired_bytes(now)
  for _, key in ipairs(redis.call("ZRANGEBYSCORE", kept_until, "-inf", now, "LIMIT", 0, 100)) do forget_bytes(key) end
end
