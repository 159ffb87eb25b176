-- refuse: tell a channel of an event that was never accepted, as one that failed at once: there are clients that
-- show nobody the text of a refused request.
-- KEYS: messages
-- ARGV: id payload ttl
-- returns {"told"}
-- USES: tell
tell(messages, id, { payload }, true, 0)
redis.call("EXPIRE", messages, ttl)
return { "told" }
