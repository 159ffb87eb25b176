"""`manage.py up`: one machine's processes, their databases, and what a new installation begins with.

Runs in the supervisor's process; owns the processes that it starts and the data folder they share."""
