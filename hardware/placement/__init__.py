"""Which node takes a replica: what nodes lend, what replicas take of it, and which replicas wait for room."""
