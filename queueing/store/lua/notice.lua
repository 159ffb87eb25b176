-- notice: send every running or waiting event of the main lane a message that is not its end. Pages make the other
-- lane's events; nobody would read it there.
-- KEYS: running
-- ARGV: prefix payload ttl
-- TIME: now
-- returns how many
-- USES: held tell line
local told = 0
local lists = { running }
for _, line in ipairs(all_lines()) do
  lists[#lists + 1] = prefix .. "next:" .. line
  lists[#lists + 1] = prefix .. "wait:" .. line
end
for _, list in ipairs(lists) do
  for _, id in ipairs(redis.call("ZRANGE", list, 0, -1)) do
    local channel, lane = unpack(redis.call("HMGET", prefix .. "ev:" .. id, "channel", "lane"))
    if channel and lane == "main" then
      tell(prefix .. "msgs:" .. channel, id, { (string.gsub(payload, "EVENT_ID", id)) }, now, ttl, false)
      told = told + 1
    end
  end
end
return told
