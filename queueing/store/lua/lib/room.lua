-- room: if a Space's calls keep too much, the messages of sessions without open events or new messages for `quiet_s`
-- go first, the oldest before the others; not those that a client is just receiving. The stream itself
-- stays, for its numbers go on. What goes by itself within the hour is left, answers are among it. Needs `held`.
local function is_over(messages)
  if redis.call("SCARD", (string.gsub(messages, ":msgs:", ":open:", 1))) > 0 then return false end
  local note = redis.call("GET", (string.gsub(messages, ":msgs:", ":cur:", 1))) or ""
  local told, stream = string.match(note, "^(%d+) %d+ (%S+)$")
  if stream ~= "1" then return true end
  return #redis.call("XRANGE", messages, "(0-" .. told, "+", "COUNT", 1) == 0
end
local function make_room(needed, most, now, final_ttl, quiet_s)
  if held_bytes() + needed <= most then return true end
  local latest = now + final_ttl - quiet_s
  local quiet = redis.call("ZRANGEBYSCORE", held_until, now + 3600, latest, "LIMIT", 0, 200)
  for _, key in ipairs(quiet) do
    if string.find(key, ":msgs:", 1, true) and is_over(key) then
      redis.call("XTRIM", key, "MAXLEN", 0)
      let_go(key)
      if held_bytes() + needed <= most then return true end
    end
  end
  return false
end
