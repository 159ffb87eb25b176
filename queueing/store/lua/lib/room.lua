-- room: if a Space's calls keep too much, the messages of sessions without open events or new messages for `quiet_s`
-- go first, the oldest before the others; not those that a client is just receiving. The stream itself
-- stays, for its numbers go on. What goes by itself within the hour is left, answers are among it. Needs `kept_bytes`.
-- MAKES: messages open cursor
local function is_over(messages, channel)
  if redis.call("SCARD", open_of(channel)) > 0 then return false end
  local note = redis.call("GET", cursor_of(channel)) or ""
  local received, stream = string.match(note, "^(%d+) %d+ (%S+)$")
  if stream ~= "1" then return true end
  return #redis.call("XRANGE", messages, "(0-" .. received, "+", "COUNT", 1) == 0
end
local function make_room(needed, most, now, final_ttl, quiet_s)
  if total_bytes() + needed <= most then return true end
  local latest = now + final_ttl - quiet_s
  local quiet = redis.call("ZRANGEBYSCORE", kept_until, now + 3600, latest, "LIMIT", 0, 200)
  local begin = messages_of("")
  for _, key in ipairs(quiet) do
    if string.sub(key, 1, #begin) == begin and is_over(key, string.sub(key, #begin + 1)) then
      redis.call("XTRIM", key, "MAXLEN", 0)
      forget_bytes(key)
      if total_bytes() + needed <= most then return true end
    end
  end
  return false
end
