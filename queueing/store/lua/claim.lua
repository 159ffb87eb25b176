-- claim: for the holder of the lease, as many calls as there are free slots; a call is one event, or a
-- batch of events of one function. Lines take turns: the one served longest ago is next. `ahead` calls more of each
-- line, of the functions in `short` (their ids, a space on both sides of each), where they wait in the app itself
-- until one of those before them ends; not of a line in which something long runs, nor beyond `max_running` where
-- that is so in any. The wait promised to an event is compared with its actual wait.
-- All limits are of one replica. Where several serve, the line is the same for all; each takes the first event that is
-- its own to take (docs/decisions/0015-one-queue-feeds-all-replicas.md).
-- KEYS: cfg running limits promises honesty
-- ARGV: holder replica prefix side_calls most scan ahead short leave_s
-- MAKES: wait next calls shares event pin
-- and then: the lines in which something long runs
-- TIME: now
-- returns {"claimed", {line, events left waiting, …}, {line, token, slots, total, each, {event fields}, …}, …}
--   | {"lost"} | {"moved"}, where visitors are sent to other replicas than the holder's.
--   `slots`: how many calls of the line may be in their functions at once, 0: it is not counted;
--   `total`: how many of all lines, 0: any number; `each`: how many of a group without a number, 0: any number
-- USES: count line slots serving
-- CONST: DAY_S ERROR_BOUNDS MONTH_S TAG_STEP
if redis.call("GET", lease_of(replica)) ~= holder then return { "lost" } end
local settings = redis.call("HMGET", cfg, "concurrency_count", "batch", "max_batch_size", "max_threads",
  "retry", "policy", "ahead", "replicas", "max_running")
local serving, many, caretaker = serving_in(settings[8])
if serving and not serving[replica] then return { "moved" } end
local several = many > 1
local each = settings[1] == "" and 0 or tonumber(settings[1] or "") or 1
local batching = settings[2] == "1"
local max_batch = tonumber(settings[3] or "") or 4
local threads = math.max(tonumber(settings[4] or "") or 40, each)
local fair = settings[6] == "fair"
local max_running = tonumber(settings[9] or "")
local cap = max_running or threads
ahead = tonumber(ahead)
-- Readers of the line must know which calls are not in their functions yet.
if ahead ~= tonumber(settings[7] or "0") then redis.call("HSET", cfg, "ahead", ahead) end

local long, more_all = {}, math.min(ahead, cap)
for at = rest, #ARGV do long[ARGV[at]], more_all = true, 0 end
local names, known = all_lines()
local numbers = redis.call("HMGET", limits, unpack(names))
local every, total, mains, elsewhere = {}, 0, 0, {}
for at, name in ipairs(names) do
  local one = { name = name, main = is_main(name), known = at <= known, turn = at - #names }
  one.wait_key, one.next_key = wait_of(name), next_of(name)
  one.calls_key, one.shares_key = calls_of(name), shares_of(name)
  one.wait, one.next = redis.call("ZCARD", one.wait_key), redis.call("ZCARD", one.next_key)
  one.calls, one.others, one.had = 0, {}, one.wait
  for _, slot in ipairs(redis.call("ZRANGE", one.calls_key, 0, -1)) do
    local other = replica_in(slot)
    if other == replica then
      one.calls = one.calls + 1
    else
      one.others[other] = (one.others[other] or 0) + 1
      elsewhere[other] = (elsewhere[other] or 0) + 1
    end
  end
  one.limit = tonumber(numbers[at] or each)
  if numbers[at] == "none" or one.limit == 0 then one.limit = threads end
  if not one.main then one.limit = tonumber(side_calls) end
  one.more = one.main and not long[name] and math.min(ahead, one.limit) or 0
  total = total + one.calls
  if one.main then mains = mains + one.calls end
  every[at] = one
end
local taken = {}
local promised = redis.call("EXISTS", promises) == 1

-- The first promise of a waiter (seconds from `promised_at`) beside its outcome: `queueing.stats.eta_accuracy`.
local function compare(id)
  local promise = redis.call("HGET", promises, id)
  if not promise then return end
  redis.call("HDEL", promises, id)
  local promised_at, likely, at_most = string.match(promise, "^(%S+) (%S+) (%S+)$")
  local waited = now - promised_at
  local off = math.abs(likely - waited) / math.max(waited, 1)
  local bucket = "more"
  for _, bound in ipairs(ERROR_BOUNDS) do
    if off <= tonumber(bound) then
      bucket = bound
      break
    end
  end
  redis.call("HINCRBY", honesty, "count", 1)
  redis.call("HINCRBY", honesty, "off:" .. bucket, 1)
  if waited <= tonumber(at_most) then redis.call("HINCRBY", honesty, "within", 1) end
  redis.call("EXPIRE", honesty, MONTH_S)
end

-- A suspect is an event that ran when its container died. It runs with nothing beside it: so an innocent
-- neighbour neither dies with it again nor is blamed for it.
local function is_suspect(id)
  return id and tonumber(redis.call("HGET", event_of(id), "deaths") or 0) > 0
end

-- Which replica an event must run on, if on a certain one: where its call goes on, or where its session is at home.
local function home_of(id)
  local ran, session = unpack(redis.call("HMGET", event_of(id), "replica", "session"), 1, 2)
  if serving[ran or ""] then return ran end
  local pin = session and session ~= "" and redis.call("GET", pin_of(session)) or ""
  return serving[pin] and pin
end

-- Whether one with fewer calls has room for it too. It is left to that one for a moment only: that one's dispatcher
-- may be stuck.
local function is_left_to_another(one, id)
  if now - (redis.call("HGET", event_of(id), "joined") or 0) > tonumber(leave_s) then return false end
  for other in pairs(serving) do
    local calls = elsewhere[other] or 0
    if other ~= replica and calls < total and calls < cap and (one.others[other] or 0) < one.limit
      and has_dispatcher(other) then
      return true
    end
  end
  return false
end

-- A suspect runs on the first replica: while that one empties for it, the others go on.
local function may_take(one, key, id)
  if is_suspect(id) then return replica == caretaker end
  local home = home_of(id)
  if home then return home == replica end
  return key == one.next_key or not is_left_to_another(one, id)
end

-- The first event there that this replica may take, and its score. What was passed over once is so until the end.
local passed = {}
local function head_of(one, key)
  if not several then return unpack(redis.call("ZRANGE", key, 0, 0, "WITHSCORES")) end
  local from = passed[key] or 0
  while from < tonumber(scan) do
    local found = redis.call("ZRANGE", key, from, from + 31, "WITHSCORES")
    for at = 1, #found, 2 do
      if may_take(one, key, found[at]) then
        passed[key] = from
        return found[at], found[at + 1]
      end
      from = from + 1
    end
    if #found < 64 then break end
  end
  passed[key] = from
end

local function runs_suspect()
  for _, id in ipairs(redis.call("ZRANGE", running, 0, -1)) do
    if (redis.call("HGET", event_of(id), "replica") or "") == replica then return is_suspect(id) end
  end
end
most = tonumber(most)
if total == 1 and runs_suspect() then most = 0 end
local suspect
for _, one in ipairs(every) do
  if not suspect and one.next > 0 and is_suspect(head_of(one, one.next_key)) then suspect = one end
end
if suspect then most = total > 0 and 0 or math.min(most, 1) end

local function take(one, id, returned, token, started)
  local event = event_of(id)
  redis.call("ZREM", returned and one.next_key or one.wait_key, id)
  local list = returned and "next" or "wait"
  one[list] = one[list] - 1
  local fields = redis.call("HMGET", event, "fn", "channel", "body", "request", "origin", "joined", "deaths",
    "visit", "losses", "moves", "told", "cancel", "visitor", "batch", "session", "replica")
  if not fields[1] then return nil end
  local first = redis.call("HSET", event, "state", "running", "token", token, "started", started, "replica", replica) > 0
  -- What its session has in the process and on its disk is there from now on. (Not by a call that only goes on.)
  if (fields[15] or "") ~= "" and fields[16] ~= replica then redis.call("SET", pin_of(fields[15]), replica, "EX", DAY_S) end
  redis.call("ZADD", running, started, id)
  local visitor, batch = fields[13], fields[14]
  -- A visitor with nothing left in line loses the tag: it is kept only while it orders something.
  if not returned and visitor and redis.call("HINCRBY", one.shares_key, "n:" .. visitor, -1) <= 0 then
    redis.call("HDEL", one.shares_key, "n:" .. visitor, "t:" .. visitor)
  end
  local lane = one.main and ":main:" or ":side:"
  if first then count(now, "wait:" .. bucket(now - fields[6]) .. lane .. fields[1]) end
  if promised then compare(id) end
  fields[13] = settings[5] or "1"
  return { id, unpack(fields, 1, 13) }, fields[1], tonumber(batch) or 0
end

-- Batch together with the call's first event those of its function that wait behind it.
local function fill(call, one, fn, size, token, started)
  for _, id in ipairs(redis.call("ZRANGE", one.wait_key, 0, tonumber(scan) - 1)) do
    if #call - 5 >= size then break end
    if redis.call("HGET", event_of(id), "fn") == fn and (not several or (home_of(id) or replica) == replica) then
      call[#call + 1] = take(one, id, false, token, started)
    end
  end
end

local function may_start(one, head)
  if not one.main then return one.calls < one.limit end
  if one.calls >= one.limit + one.more or mains >= cap + more_all then return false end
  if ahead == 0 then return true end
  local fn = redis.call("HGET", event_of(head), "fn")
  if fn and string.find(short, " " .. fn .. " ", 1, true) then return true end
  -- It would be sent ahead of its turn.
  if one.calls >= one.limit or mains >= cap then return false end
  -- No call may wait inside the app behind one that may take long.
  one.more, more_all = 0, 0
  return true
end

local function start(one, first)
  local returned = one.next > 0
  local from = returned and one.next_key or one.wait_key
  local head, score = head_of(one, from)
  if not head and returned and not first then
    returned, from = false, one.wait_key
    head, score = head_of(one, from)
  end
  if not head or not may_start(one, head) then return false end
  local token = redis.call("INCR", fence)
  redis.call("ZADD", lines, token, one.name)
  one.turn = token
  -- No two calls have the same start: it shows which events of `running` belong to which call.
  local started = tonumber(now) + (#taken + 1) / 1000000
  local event, fn, size = take(one, head, returned, token, started)
  if fair and not returned then redis.call("HSET", one.shares_key, "v", math.floor(tonumber(score) / TAG_STEP)) end
  if not event then return true end
  local call = { one.name, token, one.main and one.limit or 0, max_running or 0, each, event }
  size = math.min(size, max_batch)
  -- An event that came back from a failed batch is tried alone: one bad input must not fail others.
  if batching and size > 1 and not returned then fill(call, one, fn, size, token, started) end
  local what = one.main and ":main:" .. fn or ":side:" .. fn
  if batching and size > 0 then count(now, "batch:" .. #call - 5 .. what) end
  redis.call("ZADD", one.calls_key, started, replica .. ":" .. token)
  taken[#taken + 1] = call
  one.calls, total = one.calls + 1, total + 1
  if one.main then mains = mains + 1 end
  if one.main then peak(now, "running:" .. what, math.min(one.calls, one.limit)) end
  return true
end

-- A call of each line after the other, until none may start: first of what comes before all, then of everybody.
for _, first in ipairs({ true, false }) do
  table.sort(every, function(a, b) return a.turn < b.turn end)
  repeat
    local going = false
    for _, one in ipairs(every) do
      local waiting = first and one.next or one.next + one.wait
      local may = #taken < most and total < threads and (not suspect or suspect == one)
      if may and waiting > 0 and start(one, first) then going = true end
    end
  until not going
end
if #taken > 0 then
  peak(now, "running", math.min(mains, cap))
  if total > mains then peak(now, "calls", total) end
end

local left = {}
for _, one in ipairs(every) do
  if one.wait == 0 and one.had > 0 then redis.call("DEL", one.shares_key) end
  if one.wait + one.next > 0 then
    left[#left + 1] = one.name
    left[#left + 1] = one.wait + one.next
  end
  if one.wait + one.next + one.calls == 0 and not next(one.others) then
    redis.call("ZREM", lines, one.name)
  elseif not one.known then
    keep_line(one.name)
  end
end
return { "claimed", left, unpack(taken) }
