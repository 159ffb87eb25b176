-- slots: the running calls of a line, as `calls` has them: "<replica>:<fencing token>", or "<replica>:stray:<event>" of
-- one that runs on though its event has ended. An entry without a replica is of a version before this.
-- MAKES: calls
local function replica_in(slot)
  return string.match(slot, "^(%d*):") or ""
end
local function forget_calls(is_gone)
  for _, line in ipairs(all_lines()) do
    local key = calls_of(line)
    for _, slot in ipairs(redis.call("ZRANGE", key, 0, -1)) do
      if is_gone(replica_in(slot)) then redis.call("ZREM", key, slot) end
    end
  end
end
