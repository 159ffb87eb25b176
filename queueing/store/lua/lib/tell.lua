-- tell: append an event's messages to its channel's stream, and announce them in one piece, a line each:
-- `<number> <1: its end> <events of the channel left open> <event> <message>` (`queueing.delivery.streams`). Of large
-- ones nothing is said but that they are there: Redis hangs up on listeners that are too far behind.
local function tell(stream, id, payloads, final, left)
  local lines = {}
  for i, payload in ipairs(payloads) do
    local last = final and i == #payloads
    local n = redis.call("XADD", stream, "MAXLEN", "~", 2000, "0-*", "d", payload, "e", id, "f", last and "1" or "0")
    lines[i] = n .. (last and " 1 " .. left or " 0 1") .. " " .. id .. " " .. payload
  end
  local size = 0
  for _, line in ipairs(lines) do size = size + #line end
  redis.call("PUBLISH", stream, size > 1048576 and "" or table.concat(lines, "\n"))
end
