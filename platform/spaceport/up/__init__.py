"""`manage.py up`: one machine's processes, their databases, and what a new installation begins with.

`manage.py up` prepares with Django, then becomes `python -m spaceport.up`, which has none of it: it owns the
processes that it starts and the data folder they share."""
