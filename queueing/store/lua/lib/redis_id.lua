-- redis_id: the replication id of this Redis, and the one it followed before: a replica that takes over from its
-- primary gets a new one and remembers the old; a server that was restarted gets a new one and remembers none.
local function redis_id()
  local info = redis.call("INFO", "replication")
  return string.match(info, "master_replid:(%x+)") or "", string.match(info, "master_replid2:(%x+)") or ""
end
