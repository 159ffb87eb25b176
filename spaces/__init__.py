"""Spaces: their files, builds, stages, pages and API, and the gateway to their demos.

Runs in web processes (pages, API, gateway) and in Celery workers (builds, stages). Owns the rows of Spaces
and their repositories, and publishes to `queueing` where a Space runs."""
