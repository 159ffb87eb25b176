from django.apps import AppConfig

from infra import silent_database
from spaceport.celery import app as celery_app

__all__ = ["celery_app"]  # the one that every process with Django sends tasks by


class SpaceportConfig(AppConfig):
    name = "spaceport"

    def ready(self) -> None:
        silent_database.watch()
