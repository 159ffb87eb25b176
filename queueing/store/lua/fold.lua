-- fold: a minute that is stored leaves Redis, and its counts go into the Space's totals: once, whoever calls
-- and however often.
-- KEYS: minutes minute totals
-- ARGV: number changes
-- returns {"folded"} | {"known"}
if redis.call("SREM", minutes, number) == 0 then return { "known" } end
for field, by in pairs(cjson.decode(changes)) do redis.call("HINCRBY", totals, field, by) end
redis.call("DEL", minute)
return { "folded" }
