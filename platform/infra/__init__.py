"""Plumbing for every process of the platform: connections to Redis, starting, ending, folders.

It imports none of the apps. Runs in every process: web, node (Celery) and `manage.py up`."""
