-- keep_answer: keep what the container answered to a queued request until somebody takes it.
-- KEYS: answer
-- ARGV: content ttl
-- TIME: now
-- returns {"kept"}
-- USES: kept_bytes
forget_bytes(answer)
redis.call("SET", answer, content, "EX", ttl)
keep_bytes(answer, #content, now, ttl)
return { "kept" }
