"""What a queue does and did: counters by the minute, their history in PostgreSQL, and advice made of them.

Pages, the API and `/metrics` read it in web processes; the scripts of `store` count, and a Celery task stores
the minutes. Owns the rows of minutes."""
