-- renew: keep one's own lease. A lost one is not taken again here: events may have been given to others.
-- After a failover the lease of before is not kept either: its holder's last calls may be unknown here.
-- KEYS: lease storage
-- ARGV: holder ttl_ms
-- returns {"held"} | {"lost"}
-- USES: redis_id
if redis.call("GET", lease) ~= holder then return { "lost" } end
if redis.call("GET", storage) ~= redis_id() then
  redis.call("DEL", lease)
  return { "lost" }
end
redis.call("PEXPIRE", lease, ttl_ms)
return { "held" }
