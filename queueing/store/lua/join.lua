-- join: append one event to its line, or refuse it. Under `fair` its place follows from its tag: a visitor's
-- next tag is one step behind the later of the visitor's last one and the line's virtual time.
-- `max_size` and `max_per_visitor` count all lines of the main lane, as `side_limit` does of the other; position
-- and size are the line's.
-- KEYS: cfg seq idem event open visit last seen deaths cursor
-- ARGV: prefix id lane group origin channel fn after batch side_limit ttl body request visit_id visitor wake
-- ARGV: repeatable present input max_deaths max_bytes final_ttl quiet_s session home
-- MAKES: wait next shares pin
-- TIME: now
-- returns {"accepted", position, size, all_have_dispatchers, end_in_flight} | {"duplicate", id} | {"reused"} | {"refused", text}
--         | {"closed"} | {"full", size, max_size} | {"limit", pending, most} | {"bytes", kept, most} | {"poison"}
-- USES: count line kept_bytes room serving
-- CONST: DAY_S TAG_STEP
-- A repeated submit must find its first event even while the queue refuses new ones.
if repeatable == "1" then
  local first = redis.call("GET", idem)
  if first then
    -- A write, so that a WAIT behind this call waits for the first submit's writes too.
    redis.call("EXPIRE", idem, DAY_S)
    local first_id, first_input = string.match(first, "^(%S+) ?(%S*)$")
    if first_input ~= "" and first_input ~= input then return { "reused" } end
    return { "duplicate", first_id }
  end
end
-- The connection broke behind the first try of this very call and the client sent it again.
if redis.call("EXISTS", event) == 1 then return { "accepted", 0, 1, 0, 0 } end
local settings = redis.call("HMGET", cfg, "refuse", "api_open", "max_size", "policy", "page_weight",
  "max_per_visitor", "replicas")
local refuse, api_open, max_size, policy, page_weight, most, named = unpack(settings, 1, 7)
local what = "::" .. lane .. ":" .. fn
if refuse and refuse ~= "" then count(now, "refused" .. what) return { "refused", refuse } end
if origin == "api" and api_open == "0" then count(now, "closed" .. what) return { "closed" } end
if tonumber(string.match(redis.call("GET", deaths) or "0", "^%d+")) >= tonumber(max_deaths) then
  count(now, "refused" .. what)
  return { "poison" }
end

-- A step right after one its session has just finished goes behind the running calls, not to the back.
-- Each step follows an end once: the steps that have followed are stored behind it. Else one end would let
-- any number of calls past `max_size` and the line.
local ended = redis.call("GET", last) or ""
local follows = after ~= "" and string.match(ended, "^%S+") == after
  and not string.find(ended .. " ", " " .. fn .. " ", 1, true)
local line = line_of(lane, group)
local wait, next, shares = wait_of(line), next_of(line), shares_of(line)
local size, beside = redis.call("ZCARD", wait), {}
local all = size
for _, other in ipairs(all_lines()) do
  if other ~= line and is_main(other) == is_main(line) then
    beside[#beside + 1] = other
    all = all + redis.call("ZCARD", wait_of(other))
  end
end
max_size = tonumber(max_size or "")
if lane == "side" then max_size = tonumber(side_limit) end
if not follows and max_size and all >= max_size then
  count(now, "full" .. what)
  return { "full", all, max_size }
end
most = lane == "main" and not follows and tonumber(most or "")
if most then
  local mine = tonumber(redis.call("HGET", shares, "n:" .. visitor) or 0)
  for _, other in ipairs(beside) do
    mine = mine + tonumber(redis.call("HGET", shares_of(other), "n:" .. visitor) or 0)
  end
  if mine >= most then count(now, "refused" .. what) return { "limit", mine, most } end
end
forget_expired_bytes(now)
if not make_room(#body + #request, tonumber(max_bytes), now, final_ttl, quiet_s) then
  count(now, "refused" .. what)
  return { "bytes", total_bytes(), tonumber(max_bytes) }
end

local place = redis.call("INCR", seq)
local score = place
if not follows then
  redis.call("HINCRBY", shares, "n:" .. visitor, 1)
  if policy == "fair" then
    local tags = redis.call("HMGET", shares, "v", "t:" .. visitor)
    local step = origin == "page" and 1 or tonumber(page_weight or 2)
    local tag = math.max(tonumber(tags[1] or 0), tonumber(tags[2] or 0)) + step
    redis.call("HSET", shares, "t:" .. visitor, tag)
    score = tag * TAG_STEP + place % TAG_STEP
  end
end
redis.call("ZADD", follows and next or wait, score, id)
if follows then redis.call("SET", last, ended .. " " .. fn, "KEEPTTL") end
keep_line(line)
redis.call("HSET", event, "state", "pending", "lane", lane, "group", group, "origin", origin, "channel", channel,
  "fn", fn, "batch", batch, "seq", place, "joined", now, "input", input, "body", body, "request", request, 
  "visit", visit_id, "visitor", visitor, "session", session)
redis.call("EXPIRE", event, ttl)
keep_bytes(event, #body + #request, now, ttl)
redis.call("SADD", open, id)
redis.call("EXPIRE", open, ttl)
if repeatable == "1" then redis.call("SET", idem, id .. " " .. input, "EX", DAY_S) end
if visit_id ~= "" then
  redis.call("SADD", visit, id)
  redis.call("EXPIRE", visit, DAY_S)
end
-- A page that never opens its stream counts as gone, like one that closed it.
if present == "1" then redis.call("ZADD", seen, "NX", now, channel) end
redis.call("PUBLISH", wake, "join " .. line)
count(now, origin .. what)
if all > 0 and lane == "main" then peak(now, "pending", all + 1) end
local position = size
if follows then
  position = 0
elseif policy == "fair" then
  position = redis.call("ZRANK", wait, id)
end
local serving, many = serving_in(named)
-- What it names is on this replica, so its session begins there.
if session ~= "" and home ~= "" and serving and serving[home] then
  local pin = pin_of(session)
  if not serving[redis.call("GET", pin) or ""] then redis.call("SET", pin, home, "EX", DAY_S) end
end
local served = many > 0 and 1 or 0
for replica in pairs(serving or { [""] = true }) do
  if not has_dispatcher(replica) then served = 0 end
end
-- Whether its session's client is receiving an end just now (`move_cursor` notes that).
local end_in_flight = string.find(redis.call("GET", cursor) or "", "^%d+ [1-9]") and 1 or 0
return { "accepted", position, follows and size or size + 1, served, end_in_flight }
