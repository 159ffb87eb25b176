-- line: where an event waits, by its lane and group: "main" and "side" (no group), "main:<group>" or "side:<group>".
-- `lines` has every line with somebody in it, with the token of its last start; a new one begins behind all others.
-- One without entry is served too: processes older than groups join "main" and "side" without one.
-- KEYS: lines fence
local function line_of(lane, group)
  if lane ~= "side" then lane = "main" end
  return group and group ~= "" and lane .. ":" .. group or lane
end
local function is_main(line)
  return string.sub(line, 1, 4) == "main"
end
local function all_lines()
  local found, known = redis.call("ZRANGE", lines, 0, -1), {}
  local entries = #found
  for _, line in ipairs(found) do known[line] = true end
  for _, line in ipairs({ "main", "side" }) do
    if not known[line] then found[#found + 1] = line end
  end
  return found, entries
end
local function keep_line(line)
  redis.call("ZADD", lines, "NX", redis.call("GET", fence) or 0, line)
end
