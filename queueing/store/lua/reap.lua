-- reap: what ran on replicas that serve no more and have no dispatcher goes back to the front, for the others. (What
-- ran on one that serves waits for the next dispatcher there: `acquire`.)
-- KEYS: cfg
-- ARGV: prefix max_losses final_ttl failure notice
-- TIME: now
-- returns how many events
-- USES: count kept_bytes publish line slots serving taken_back
local serving, many = serving_in(redis.call("HGET", cfg, "replicas"))
if not serving or many == 0 then return 0 end
local function is_gone(other)
  return other ~= "" and not serving[other] and not has_dispatcher(other)
end
return taken_back(is_gone, now, max_losses, final_ttl, failure, notice)
