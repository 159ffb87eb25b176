"""The servers in front of the ASGI application, Daphne and uvicorn, and what they refuse before calling it:
odd requests, large bodies, too many handshakes, slow clients.

Runs in a web process; owns its sockets, from `accept` to the last byte, and its end."""
