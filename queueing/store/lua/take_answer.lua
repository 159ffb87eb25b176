-- take_answer: an answer, which is then kept no longer.
-- KEYS: answer
-- returns it, or nothing where its time is over
-- USES: kept_bytes
forget_bytes(answer)
return redis.call("GETDEL", answer)
