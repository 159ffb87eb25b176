-- publish: append an event's messages to its channel's stream, which is kept for `ttl` seconds more, and publish them in
-- one piece, a line each: `<number> <1: its end> <events of the channel left open> <event> <message>`
-- (`queueing.delivery.streams`). Of large ones only their existence is published: Redis disconnects listeners
-- that are too far behind. Of a long stream the latest 2000 are kept. A stream that is new counts anew, for the one
-- before may have been dropped just now. Needs `kept_bytes`.
local function publish(stream, id, payloads, now, ttl, final, left)
  local lines, bytes = {}, 0
  for i, payload in ipairs(payloads) do
    local last = final and i == #payloads
    local n = redis.call("XADD", stream, "0-*", "d", payload, "e", id, "f", last and "1" or "0")
    lines[i] = n .. (last and " 1 " .. left or " 0 1") .. " " .. id .. " " .. payload
    bytes = bytes + #payload
  end
  local size = 0
  for _, line in ipairs(lines) do size = size + #line end
  redis.call("PUBLISH", stream, size > 1048576 and "" or table.concat(lines, "\n"))
  local length = redis.call("XLEN", stream)
  if length >= 2020 then
    local first = redis.call("XRANGE", stream, "-", "+", "COUNT", length - 2000)
    for _, entry in ipairs(first) do bytes = bytes - #entry[2][2] end
    redis.call("XTRIM", stream, "MAXLEN", 2000)
  end
  if length == #payloads then forget_bytes(stream) end
  redis.call("EXPIRE", stream, ttl)
  keep_bytes(stream, bytes, now, ttl)
end
