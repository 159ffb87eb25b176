-- take_answer: an answer, which is then kept no longer.
-- KEYS: answer
-- returns it, or nothing where its time is over
-- USES: held
let_go(answer)
return redis.call("GETDEL", answer)
