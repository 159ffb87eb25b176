-- notice: tell every event that runs or waits in the main lane something that is not its end. The other lane's are
-- made by pages, not by somebody who would read it.
-- KEYS: running wait_main next_main
-- ARGV: prefix payload ttl
-- returns how many were told
-- USES: tell
local told = 0
for _, line in ipairs({ running, next_main, wait_main }) do
  for _, id in ipairs(redis.call("ZRANGE", line, 0, -1)) do
    local channel, lane = unpack(redis.call("HMGET", prefix .. "ev:" .. id, "channel", "lane"))
    if channel and lane == "main" then
      local messages = prefix .. "msgs:" .. channel
      tell(messages, id, { (string.gsub(payload, "EVENT_ID", id)) }, false)
      redis.call("EXPIRE", messages, ttl)
      told = told + 1
    end
  end
end
return told
