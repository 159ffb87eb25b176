-- page_load: take one from a visitor's bucket of page loads. Kept as one time, until when the bucket is in
-- use: each load moves it on by what one takes to flow back.
-- KEYS: loads
-- ARGV: most per_minute
-- TIME: now
-- returns milliseconds until the next one is allowed; 0: this one is
local at, each = tonumber(now), 60 / tonumber(per_minute)
local until_free = math.max(tonumber(redis.call("GET", loads) or now), at)
local too_early = until_free - at - (tonumber(most) - 1) * each
if too_early > 0 then return math.ceil(too_early * 1000) end
redis.call("SET", loads, string.format("%.6f", until_free + each), "PX", math.ceil((until_free + each - at) * 1000))
return 0
