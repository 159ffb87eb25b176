"""A Space's files: a bare git repository, read and written without a checkout, within bounds.

Runs in web processes and, for builds, in the Celery worker; `received` runs as git's hook. Owns the
repositories on disk."""
