"""Spaces, builds, and the names of variables and secrets in the records: to read. Every change is made on a
Space's Settings tab, where the platform hears of it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from spaces.models import Build, Secret, Space, Variable


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the platform writes itself."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: what runs would run on without its row."""
        return False


@admin.register(Space)
class Spaces(ReadOnly):
    """Found by owner, name, title; with the way to the page itself."""

    list_display = ("__str__", "page", "stage", "hardware", "sdk", "visibility", "last_modified")
    list_filter = ("stage", "sdk", "hardware", "visibility")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__name", "title")
    ordering = ("owner__name", "name")

    @admin.display(description="settings")
    def page(self, space: Space) -> SafeString:
        """A link to its Settings tab."""
        return format_html('<a href="/{}/settings">open</a>', space)


@admin.register(Build)
class Builds(ReadOnly):
    """Every build with its log."""

    list_display = ("pk", "space", "sha", "status", "created_at", "finished_at", "worker")
    list_filter = ("status",)
    list_select_related = ("space__owner",)
    search_fields = ("space__name", "space__owner__name", "sha")
    ordering = ("-pk",)


@admin.register(Variable, Secret)
class Environment(ReadOnly):
    """Which Space has which; values stay where they are."""

    list_display = ("key", "space", "description", "updated_at")
    list_select_related = ("space__owner",)
    search_fields = ("key", "space__name", "space__owner__name")
    exclude = ("value",)
    ordering = ("key",)
