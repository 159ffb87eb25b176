-- renew: keep one's own lease of a replica. A lost one is not taken again here: events may have been given to others.
-- After a failover the lease of before is not kept either: its holder's last calls may be unknown here. One that
-- was only restarted knows them from its append-only file, but perhaps not the last tokens.
-- KEYS: lease storage fence
-- ARGV: holder ttl_ms
-- returns {"held"} | {"lost"}
-- USES: redis_id
if redis.call("GET", lease) ~= holder then return { "lost" } end
local known = redis.call("GET", storage)
local here, before = redis_id()
if known == before then
  redis.call("DEL", lease)
  return { "lost" }
end
if known ~= here then
  redis.call("INCRBY", fence, 1000000)
  redis.call("SET", storage, here)
end
redis.call("PEXPIRE", lease, ttl_ms)
return { "held" }
