-- serving: the replicas whose dispatchers may claim, as `cfg` names them: a table by their numbers, how many, and the
-- first of them. Nil where it names none at all: then any may.
-- MAKES: lease
local function serving_in(named)
  if not named then return nil, 1 end
  local found, many, first = {}, 0, nil
  for replica in string.gmatch(named, "%S+") do
    found[replica], many = true, many + 1
    if not first or tonumber(replica) < tonumber(first) then first = replica end
  end
  return found, many, first
end
local function has_dispatcher(replica)
  return redis.call("EXISTS", lease_of(replica)) == 1
end
