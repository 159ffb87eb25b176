"""The records of queue settings, read-only: change them in the Settings tab or by the API, which put them
into force."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from queueing.models import QueueSettings


@admin.register(QueueSettings)
class QueueSettingsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What owners chose, and what was found in the code."""

    list_display = ("space_id", "chosen", "found")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: QueueSettings | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: QueueSettings | None = None) -> bool:
        return False
