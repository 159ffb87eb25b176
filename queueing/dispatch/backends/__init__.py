"""Clients of apps: one for each way into a container, and the choice between them.

Runs in a dispatcher's event loop. Owns the connections to the replica; what a replica answers is hostile
input."""
