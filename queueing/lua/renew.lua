-- renew: keep one's own lease. A lost one is not taken again here: events may have been given to others.
-- KEYS: lease
-- ARGV: holder ttl_ms
-- returns {"held"} | {"lost"}
if redis.call("GET", lease) ~= holder then return { "lost" } end
redis.call("PEXPIRE", lease, ttl_ms)
return { "held" }
