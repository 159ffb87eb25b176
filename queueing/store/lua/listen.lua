-- listen: a session's client opens a stream. If it disconnected from the last one during an event (noticed or not) and
-- has called anew since, it has given up the earlier events: Gradio alone ends such events. Of two requests that come
-- together the disconnect may be noticed last: half a second does not count.
-- `patient` "1": while another connection is sending, nothing is done.
-- KEYS: cursor open dropped messages
-- ARGV: prefix ttl patient
-- MAKES: event
-- TIME: now
-- returns {known, received, in_flight, {events without messages}, {events given up just now}, idle}
local note = redis.call("GET", cursor)
if not note and redis.call("EXISTS", open, messages) == 0 then return { 0, 0, 0, {}, {}, 0 } end
local received, in_flight, stream = string.match(note or "0", "^(%d+) ?(%d*) ?(%S*)$")
received, in_flight = tonumber(received), tonumber(in_flight) or 0
if in_flight > 0 and patient == "1" then return { 1, received, in_flight, {}, {}, 0 } end

local function events(entries)
  local found = {}
  for _, entry in ipairs(entries) do found[entry[2][4]] = true end
  return found
end
local function joined(id) return tonumber(redis.call("HGET", event_of(id), "joined") or 0) end

local given_up = {}
local still_open = stream ~= "" and stream ~= "0" and redis.call("SDIFF", open, dropped) or {}
if #still_open > 0 then
  local newest = 0
  for _, id in ipairs(still_open) do newest = math.max(newest, joined(id)) end
  -- The end of a finished one may not be sent yet.
  for id in pairs(events(redis.call("XREVRANGE", messages, "+", "(0-" .. received, "COUNT", 64))) do
    newest = math.max(newest, joined(id))
  end
  if newest >= (stream == "1" and now or stream) - 0.5 then
    local heard_of = events(redis.call("XREVRANGE", messages, "0-" .. received, "-", "COUNT", 64))
    for _, id in ipairs(still_open) do
      if heard_of[id] and joined(id) < newest then
        given_up[#given_up + 1] = id
        redis.call("SADD", dropped, id)
        redis.call("EXPIRE", dropped, ttl)
      end
    end
  end
end
redis.call("SET", cursor, string.format("%d 0 1", received), "EX", ttl)
local idle = redis.call("SCARD", open) == 0 and #redis.call("XRANGE", messages, "(0-" .. received, "+", "COUNT", 1) == 0
return { 1, received, 0, redis.call("SMEMBERS", dropped), given_up, idle and 1 or 0 }
