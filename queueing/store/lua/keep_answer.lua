-- keep_answer: keep what the container answered to a queued request until somebody takes it.
-- KEYS: answer
-- ARGV: content ttl
-- TIME: now
-- returns {"kept"}
-- USES: held
let_go(answer)
redis.call("SET", answer, content, "EX", ttl)
hold(answer, #content, now, ttl)
return { "kept" }
