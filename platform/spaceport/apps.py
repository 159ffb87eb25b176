from django.apps import AppConfig


class SpaceportConfig(AppConfig):
    name = "spaceport"
