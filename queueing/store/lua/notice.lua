-- notice: send every running or waiting event of the main lane a message that is not its end. Pages make the other
-- lane's events; nobody would read the message there.
-- KEYS: running
-- ARGV: prefix payload ttl
-- MAKES: next wait event messages
-- TIME: now
-- returns how many
-- USES: kept_bytes publish line
local published = 0
local lists = { running }
for _, line in ipairs(all_lines()) do
  lists[#lists + 1] = next_of(line)
  lists[#lists + 1] = wait_of(line)
end
for _, list in ipairs(lists) do
  for _, id in ipairs(redis.call("ZRANGE", list, 0, -1)) do
    local channel, lane = unpack(redis.call("HMGET", event_of(id), "channel", "lane"))
    if channel and lane == "main" then
      publish(messages_of(channel), id, { (string.gsub(payload, "EVENT_ID", id)) }, now, ttl, false)
      published = published + 1
    end
  end
end
return published
