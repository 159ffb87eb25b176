-- redis_id: the replication id of this Redis; a replica that takes over from its primary gets a new one.
local function redis_id()
  return string.match(redis.call("INFO", "replication"), "master_replid:(%x+)") or ""
end
