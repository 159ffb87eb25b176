"""The kinds of Spaces. Apart from the models, so that the check of a push can read cards without them."""

from django.db.models import TextChoices


class Sdk(TextChoices):
    GRADIO = "gradio"
    DOCKER = "docker"
    STATIC = "static"
