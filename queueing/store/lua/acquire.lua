-- acquire: take the lease of a Space's replica, or renew one's own. Where the previous holder is gone, its running
-- events go back to the front first, so that nobody can claim between the two.
-- KEYS: lease storage running
-- ARGV: holder ttl_ms prefix max_losses final_ttl failure notice
-- MAKES: event messages open next calls
-- TIME: now
-- returns {"held", losses} | {"taken", holder}
-- USES: count kept_bytes publish redis_id line
local owner = redis.call("GET", lease)
if owner and owner ~= holder then return { "taken", owner } end
redis.call("SET", lease, holder, "PX", ttl_ms)
if owner then return { "held", 0 } end

-- Tokens given before this point must never be valid again. A Redis that took over after a failover may not know the
-- last ones that the old one gave: they are skipped.
local here = redis_id()
local known = redis.call("GET", storage)
redis.call("INCRBY", fence, known and known ~= here and 1000000 or 1)
redis.call("SET", storage, here)
local lost = 0
for _, id in ipairs(redis.call("ZRANGE", running, 0, -1)) do
  local event = event_of(id)
  local about = redis.call("HMGET", event, "lane", "channel", "seq", "fn", "group")
  local lane, channel, seq, fn, group = unpack(about, 1, 5)
  redis.call("ZREM", running, id)
  if lane then
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
for _, line in ipairs(all_lines()) do redis.call("DEL", calls_of(line)) end
return { "held", lost }
