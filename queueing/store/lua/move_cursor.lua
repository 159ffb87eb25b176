-- move_cursor: note the last message that a session's client received, as "received in_flight stream"
-- (`queueing.delivery.cursors`); `stream` is 1 while one is open, the time at which its client disconnected during an event, else 0.
-- `begins`: everything up to message `number`, an event's end among it, is about to be written. The answer decides
-- whether the stream may end with it: not while an event is open, or a later one's messages are on their way to it.
-- A join that comes after that decision waits for the next step, so that its client sees the stream's end first.
-- `written`: it has been. `closed`: and the stream ended. `hung_up`: and the client did.
-- KEYS: cursor open dropped messages
-- ARGV: step number ttl
-- TIME: now
-- returns 1 if no other message is left, else 0
local received, _, stream = string.match(redis.call("GET", cursor) or "", "^(%d+) ?(%d*) ?(%S*)$")
received, number = tonumber(received or 0), tonumber(number)
local in_flight, over = 0, #redis.call("SDIFF", open, dropped) == 0
if step == "begins" then
  in_flight = math.max(number, 1)
else
  received = math.max(received, number)
  if step == "closed" then stream = "0" end
  if step == "hung_up" then stream = over and "0" or now end
end
redis.call("SET", cursor, string.format("%d %d ", received, in_flight) .. (stream and stream ~= "" and stream or "0"), "EX", ttl)
if step ~= "begins" or not over then return 0 end
return #redis.call("XRANGE", messages, "(0-" .. number, "+", "COUNT", 1) == 0 and 1 or 0
