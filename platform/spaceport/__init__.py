"""Spaceport: how the four apps are put together."""

from spaceport.celery import app as celery_app

__all__ = ["celery_app"]
