"""Demo hosts and `/run/`: whether a visitor may use a Space, and what queues or goes to its container.

Plain ASGI in web processes, in front of Django. Owns no data: routes come from Redis, rights from
PostgreSQL."""
