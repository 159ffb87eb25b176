"""Queue settings in the records: to read. A Space's Settings tab changes them, and tells the queue."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from queueing.models import QueueSettings


@admin.register(QueueSettings)
class Settings(admin.ModelAdmin):  # type: ignore[type-arg]
    """What owners chose, and what their code asked for."""

    list_display = ("space", "chosen", "found", "updated_at")
    list_select_related = ("space__owner",)
    search_fields = ("space__name", "space__owner__name")
    ordering = ("-updated_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: rows come with the first change."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: a row changed here would not reach the queue."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never, for the same reason."""
        return False
