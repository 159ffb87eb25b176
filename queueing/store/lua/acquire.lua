-- acquire: take the lease of a replica, or renew one's own. Where its previous holder is gone, the events that ran there
-- go back to the front first, so that nobody can claim between the two; and with them those of replicas that serve no
-- more and have no dispatcher either.
-- KEYS: cfg storage
-- ARGV: holder replica ttl_ms prefix max_losses final_ttl failure notice
-- TIME: now
-- returns {"held", losses} | {"taken", holder}
-- USES: count kept_bytes publish redis_id line slots serving taken_back
local lease = lease_of(replica)
local owner = redis.call("GET", lease)
if owner and owner ~= holder then return { "taken", owner } end
redis.call("SET", lease, holder, "PX", ttl_ms)
if owner then return { "held", 0 } end

-- Tokens given before this point must never be valid again. A Redis that took over after a failover may not know the
-- last ones that the old one gave: they are skipped.
local here = redis_id()
local known = redis.call("GET", storage)
redis.call("INCRBY", fence, known and known ~= here and 1000000 or 1)
redis.call("SET", storage, here)
local serving = serving_in(redis.call("HGET", cfg, "replicas"))
local function is_gone(other)
  return other == replica or other == "" or (serving and not serving[other] and not has_dispatcher(other))
end
return { "held", taken_back(is_gone, now, max_losses, final_ttl, failure, notice) }
