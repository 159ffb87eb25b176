"""The queue in Redis: its keys, its Lua scripts, and the one class that moves an event from state to state.

Used by all processes. Owns the Redis keys of the queue; each transition is one script (`lua/`)."""
