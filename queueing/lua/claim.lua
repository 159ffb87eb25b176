-- claim: for the holder of the lease, as many calls as there are free places; a call is one event, or a
-- batch of events of one function.
-- KEYS: cfg lease fence running wait_main next_main calls_main wait_side next_side calls_side
-- ARGV: holder prefix side_calls most scan
-- TIME: now
-- returns {"claimed", pending_left, {lane, token, {event fields}, {event fields}…}, …} | {"lost"}
if redis.call("GET", lease) ~= holder then return { "lost" } end
local settings = redis.call("HMGET", cfg, "concurrency_count", "batch", "max_batch_size", "max_threads")
local concurrency = tonumber(settings[1] or "") or 1
local batching = settings[2] == "1"
local max_batch = tonumber(settings[3] or "") or 4
local threads = math.max(tonumber(settings[4] or "") or 40, concurrency)

local lanes = {
  { "main", wait_main, next_main, calls_main, concurrency },
  { "side", wait_side, next_side, calls_side, tonumber(side_calls) },
}
local answer = { "claimed", 0 }
local total = redis.call("ZCARD", calls_main) + redis.call("ZCARD", calls_side)

-- A suspect is an event that ran when its container died. It runs with nothing beside it: so an innocent
-- neighbour neither dies with it again nor is blamed for it.
local alone = false
if total == 1 then
  local id = redis.call("ZRANGE", running, 0, 0)[1]
  alone = id and tonumber(redis.call("HGET", prefix .. "ev:" .. id, "deaths") or 0) > 0
end
local suspect
for _, lane in ipairs(lanes) do
  local id = not suspect and redis.call("ZRANGE", lane[3], 0, 0)[1]
  if id and tonumber(redis.call("HGET", prefix .. "ev:" .. id, "deaths") or 0) > 0 then suspect = lane[1] end
end
if suspect then most = total > 0 and 0 or 1 end
if alone then most = 0 end

local function take(lane, from, id, token)
  local event = prefix .. "ev:" .. id
  redis.call("ZREM", from, id)
  if redis.call("EXISTS", event) == 0 then return nil end
  redis.call("HSET", event, "state", "running", "token", token, "started", now)
  redis.call("ZADD", running, now, id)
  local fields = redis.call("HMGET", event, "fn", "channel", "body", "request", "origin", "joined", "deaths", "visit")
  return { id, unpack(fields, 1, 8) }
end

for _, lane in ipairs(lanes) do
  local name, wait, next, calls, limit = unpack(lane)
  local free = (suspect and suspect ~= name) and 0 or limit - redis.call("ZCARD", calls)
  while free > 0 and total < threads and #answer - 2 < tonumber(most) do
    local from = next
    local head = redis.call("ZRANGE", next, 0, 0)[1]
    if not head then
      from = wait
      head = redis.call("ZRANGE", wait, 0, 0)[1]
    end
    if not head then break end
    local token = redis.call("INCR", fence)
    local fn, size = unpack(redis.call("HMGET", prefix .. "ev:" .. head, "fn", "batch"))
    local event = take(name, from, head, token)
    if event then
      local call = { name, token, event }
      size = math.min(tonumber(size) or 0, max_batch)
      -- An event that came back from a failed batch is tried alone: one bad input must not fail others.
      if batching and size > 1 and from == wait then
        for _, id in ipairs(redis.call("ZRANGE", wait, 0, tonumber(scan) - 1)) do
          if #call - 2 >= size then break end
          if redis.call("HGET", prefix .. "ev:" .. id, "fn") == fn then
            local other = take(name, wait, id, token)
            if other then call[#call + 1] = other end
          end
        end
      end
      redis.call("ZADD", calls, now, token)
      answer[#answer + 1] = call
      free = free - 1
      total = total + 1
    end
  end
  answer[2] = answer[2] + redis.call("ZCARD", wait) + redis.call("ZCARD", next)
end
return answer
