-- publish_refusal: publish to a channel that an event failed, though it was never accepted: there are clients that
-- show nobody the text of a refused request.
-- KEYS: messages
-- ARGV: id payload ttl
-- returns {"published"}
-- TIME: now
-- USES: kept_bytes publish
publish(messages, id, { payload }, now, ttl, true, 0)
return { "published" }
