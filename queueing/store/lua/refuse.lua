-- refuse: send a channel an event that was never accepted, as one that failed at once: there are clients that
-- show nobody the text of a refused request.
-- KEYS: messages
-- ARGV: id payload ttl
-- returns {"told"}
-- TIME: now
-- USES: held tell
tell(messages, id, { payload }, now, ttl, true, 0)
return { "told" }
