from django.apps import AppConfig

from spaceport.celery import app as celery_app

__all__ = ["celery_app"]  # the one that every process with Django sends tasks by


class SpaceportConfig(AppConfig):
    name = "spaceport"
