-- claim: for the holder of the lease, as many calls as there are free places; a call is one event, or a
-- batch of events of one function. `ahead` calls more, of the functions in `short` (their ids, a space on both
-- sides of each), where they wait in the app itself until one of those before them ends. What was promised to an
-- event is compared with what it waited.
-- KEYS: cfg lease fence running wait_main next_main calls_main shares_main
-- KEYS: wait_side next_side calls_side shares_side promises honesty
-- ARGV: holder prefix side_calls most scan ahead short
-- TIME: now
-- returns {"claimed", pending_left_main, pending_left_side, {lane, token, places, {event fields}, …}, …} | {"lost"}
--   | {"moved"}, where visitors are sent to another replica than the holder's (it begins with its own one's number)
-- USES: count
if redis.call("GET", lease) ~= holder then return { "lost" } end
local settings = redis.call("HMGET", cfg, "concurrency_count", "batch", "max_batch_size", "max_threads",
  "retry", "policy", "ahead", "replica")
if settings[8] and string.match(holder, "^(%d+):") ~= settings[8] then return { "moved" } end
local concurrency = tonumber(settings[1] or "") or 1
local batching = settings[2] == "1"
local max_batch = tonumber(settings[3] or "") or 4
local threads = math.max(tonumber(settings[4] or "") or 40, concurrency)
local fair = settings[6] == "fair"
ahead = math.min(tonumber(ahead), concurrency)
-- Whoever shows the line has to know which calls are not in their functions yet.
if ahead ~= tonumber(settings[7] or "0") then redis.call("HSET", cfg, "ahead", ahead) end

local lanes = {
  { "main", wait_main, next_main, calls_main, concurrency, shares_main, ahead },
  { "side", wait_side, next_side, calls_side, tonumber(side_calls), shares_side, 0 },
}
local answer = { "claimed" }
local taken = {}
for _, lane in ipairs(lanes) do
  lane.wait, lane.next, lane.calls = redis.call("ZCARD", lane[2]), redis.call("ZCARD", lane[3]), redis.call("ZCARD", lane[4])
end
local total = lanes[1].calls + lanes[2].calls
local promised = redis.call("EXISTS", promises) == 1

-- The first promise of a waiter (seconds from `told`) beside what came of it: `queueing.honesty`.
local function compare(id)
  local promise = redis.call("HGET", promises, id)
  if not promise then return end
  redis.call("HDEL", promises, id)
  local told, likely, at_most = string.match(promise, "^(%S+) (%S+) (%S+)$")
  local waited = now - told
  local off = math.abs(likely - waited) / math.max(waited, 1)
  local bucket = "more"
  for _, bound in ipairs({ "0.05", "0.1", "0.15", "0.2", "0.3", "0.5", "0.75", "1", "2" }) do
    if off <= tonumber(bound) then
      bucket = bound
      break
    end
  end
  redis.call("HINCRBY", honesty, "count", 1)
  redis.call("HINCRBY", honesty, "off:" .. bucket, 1)
  if waited <= tonumber(at_most) then redis.call("HINCRBY", honesty, "within", 1) end
  redis.call("EXPIRE", honesty, 2678400)
end

-- A suspect is an event that ran when its container died. It runs with nothing beside it: so an innocent
-- neighbour neither dies with it again nor is blamed for it.
local alone = false
if total == 1 then
  local id = redis.call("ZRANGE", running, 0, 0)[1]
  alone = id and tonumber(redis.call("HGET", prefix .. "ev:" .. id, "deaths") or 0) > 0
end
local suspect
for _, lane in ipairs(lanes) do
  local id = not suspect and lane.next > 0 and redis.call("ZRANGE", lane[3], 0, 0)[1]
  if id and tonumber(redis.call("HGET", prefix .. "ev:" .. id, "deaths") or 0) > 0 then suspect = lane[1] end
end
if suspect then most = total > 0 and 0 or 1 end
if alone then most = 0 end

local function take(lane, id, from, shares, token, started)
  local event = prefix .. "ev:" .. id
  redis.call("ZREM", from, id)
  local fields = redis.call("HMGET", event, "fn", "channel", "body", "request", "origin", "joined", "deaths",
    "visit", "losses", "moves", "told", "cancel", "visitor", "batch")
  if not fields[1] then return nil end
  local first = redis.call("HSET", event, "state", "running", "token", token, "started", started) > 0
  redis.call("ZADD", running, started, id)
  local visitor, batch = fields[13], fields[14]
  -- A visitor with nothing left in line owes nothing: a tag is kept only while it orders something.
  if shares and visitor and redis.call("HINCRBY", shares, "n:" .. visitor, -1) <= 0 then
    redis.call("HDEL", shares, "n:" .. visitor, "t:" .. visitor)
  end
  if first then count(now, "wait:" .. bucket(now - fields[6]) .. ":" .. lane .. ":" .. fields[1]) end
  if promised then compare(id) end
  fields[13] = settings[5] or "1"
  return { id, unpack(fields, 1, 13) }, fields[1], tonumber(batch) or 0
end

for _, lane in ipairs(lanes) do
  local name, wait, next, calls, limit, shares, more = unpack(lane)
  local free = (suspect and suspect ~= name) and 0 or limit + more - lane.calls
  local had = lane.wait
  while free > 0 and total < threads and #taken < tonumber(most) and lane.wait + lane.next > 0 do
    local returned = lane.next > 0
    local from = returned and next or wait
    local head, score = unpack(redis.call("ZRANGE", from, 0, 0, "WITHSCORES"))
    if not head then break end
    if more > 0 then
      local fn = redis.call("HGET", prefix .. "ev:" .. head, "fn")
      local is_short = fn and string.find(short, " " .. fn .. " ", 1, true)
      if free <= more and not is_short then break end
      -- Nobody is to wait there behind one that may take long.
      if not is_short then free, more = free - more, 0 end
    end
    local token = redis.call("INCR", fence)
    -- No two calls have the same start: it tells which events of `running` belong to which call.
    local started = tonumber(now) + (#taken + 1) / 1000000
    local event, fn, size = take(name, head, from, not returned and shares, token, started)
    local gone = returned and "next" or "wait"
    lane[gone] = lane[gone] - 1
    if fair and not returned then
      redis.call("HSET", shares, "v", math.floor(tonumber(score) / 4194304))
    end
    if event then
      local call = { name, token, name == "main" and concurrency or 0, event }
      size = math.min(size, max_batch)
      -- An event that came back from a failed batch is tried alone: one bad input must not fail others.
      if batching and size > 1 and not returned then
        for _, id in ipairs(redis.call("ZRANGE", wait, 0, tonumber(scan) - 1)) do
          if #call - 3 >= size then break end
          if redis.call("HGET", prefix .. "ev:" .. id, "fn") == fn then
            local other = take(name, id, wait, shares, token, started)
            lane.wait = lane.wait - 1
            if other then call[#call + 1] = other end
          end
        end
      end
      if batching and size > 0 then count(now, "batch:" .. #call - 3 .. ":" .. name .. ":" .. fn) end
      redis.call("ZADD", calls, started, token)
      taken[#taken + 1] = call
      free = free - 1
      lane.calls = lane.calls + 1
      total = total + 1
    end
  end
  if lane.wait == 0 and had > 0 then redis.call("DEL", shares) end
  answer[#answer + 1] = lane.wait + lane.next
end
if #taken > 0 then
  peak(now, "running", math.min(lanes[1].calls, concurrency))
  if total > lanes[1].calls then peak(now, "calls", total) end
end
for _, call in ipairs(taken) do answer[#answer + 1] = call end
return answer
