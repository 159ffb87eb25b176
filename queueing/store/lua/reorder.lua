-- reorder: sort waiting events by the chosen policy, if it differs from the one before.
-- To fair: as if all had joined just now, in order of arrival. To fifo: in order of arrival.
-- KEYS: cfg
-- ARGV: prefix
-- MAKES: event wait shares
-- USES: line
-- CONST: TAG_STEP
-- returns {"same"} | {"reordered", events}
local policy, page_weight, order = unpack(redis.call("HMGET", cfg, "policy", "page_weight", "order"), 1, 3)
if (policy or "fifo") == (order or "fifo") then return { "same" } end
redis.call("HSET", cfg, "order", policy)
local events = 0

local function arrivals(wait)
  local found = {}
  for _, id in ipairs(redis.call("ZRANGE", wait, 0, -1)) do
    local seq, visitor, origin = unpack(redis.call("HMGET", event_of(id), "seq", "visitor", "origin"), 1, 3)
    found[#found + 1] = { id = id, seq = tonumber(seq or 0), visitor = visitor or "", origin = origin }
  end
  table.sort(found, function(a, b) return a.seq < b.seq end)
  return found
end

for _, line in ipairs(all_lines()) do
  local wait, shares, tags = wait_of(line), shares_of(line), {}
  redis.call("HDEL", shares, "v")
  for _, event in ipairs(arrivals(wait)) do
    local score = event.seq
    if policy == "fair" then
      local step = event.origin == "page" and 1 or tonumber(page_weight or 2)
      tags[event.visitor] = (tags[event.visitor] or 0) + step
      redis.call("HSET", shares, "t:" .. event.visitor, tags[event.visitor])
      score = tags[event.visitor] * TAG_STEP + event.seq % TAG_STEP
    else
      redis.call("HDEL", shares, "t:" .. event.visitor)
    end
    redis.call("ZADD", wait, score, event.id)
    events = events + 1
  end
end
return { "reordered", events }
