-- taken_back: running events of dispatchers that are gone go back to the front of their lines, and their calls are
-- forgotten. `is_gone(replica)` says of which replicas. What may go on in its container keeps its `replica`: the next
-- dispatcher there takes it up. Needs `count`, `kept_bytes`, `line`, `publish` and `slots`.
-- KEYS: running
-- MAKES: event messages open next
local function taken_back(is_gone, now, max_losses, final_ttl, failure, notice)
  local lost = 0
  for _, id in ipairs(redis.call("ZRANGE", running, 0, -1)) do
    local event = event_of(id)
    local about = redis.call("HMGET", event, "lane", "channel", "seq", "fn", "group", "replica")
    local lane, channel, seq, fn, group, replica = unpack(about, 1, 6)
    local is_lost = is_gone(replica or "")
    if is_lost then redis.call("ZREM", running, id) end
    if is_lost and lane then
      lost = lost + 1
      local messages = messages_of(channel)
      if redis.call("HINCRBY", event, "losses", 1) >= tonumber(max_losses) then
        redis.call("HSET", event, "state", "failed", "token", "", "ended", now)
        redis.call("HDEL", event, "body", "request")
        forget_bytes(event)
        count(now, "failed::" .. lane .. ":" .. fn)
        redis.call("EXPIRE", event, final_ttl)
        local open = open_of(channel)
        redis.call("SREM", open, id)
        local left = redis.call("SCARD", open)
        publish(messages, id, { (string.gsub(failure, "EVENT_ID", id)) }, now, final_ttl, true, left)
      else
        redis.call("HSET", event, "state", "pending", "token", "")
        count(now, "retried::" .. lane .. ":" .. fn)
        local line = line_of(lane, group)
        redis.call("ZADD", next_of(line), seq, id)
        keep_line(line)
        if lane == "main" then
          publish(messages, id, { (string.gsub(notice, "EVENT_ID", id)) }, now, final_ttl, false)
        end
      end
    end
  end
  forget_calls(is_gone)
  return lost
end
