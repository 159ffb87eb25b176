"""The records of Spaces for administrators, with the actions pause, restart and clear queue."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from queueing.stats.figures import figures
from queueing.store.admin_ops import clear
from spaces import lifecycle
from spaces.card import CardError
from spaces.models import Build, Space


@admin.register(Space)
class SpaceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only except for the egress policy: a Space is changed through its life cycle, not its row."""

    list_display = (
        "__str__",
        "stage",
        "sdk",
        "hardware",
        "visibility",
        "pending",
        "running",
        "last_modified",
    )
    list_filter = ("stage", "sdk", "hardware", "visibility")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__name", "title")
    actions = ("pause", "restart", "clear_queue")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Space | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Space | None = None) -> list[str]:
        return [field.name for field in Space._meta.fields if field.name != "egress"]

    def save_model(self, request: HttpRequest, obj: Space, form: object, change: bool) -> None:
        """A Space that runs gets a new container under its new policy."""
        Space.objects.filter(pk=obj.pk).update(egress=obj.egress)
        lifecycle.environment_changed(Space.objects.select_related("owner", "replica").get(pk=obj.pk))

    @admin.display(description="waiting")
    def pending(self, space: Space) -> int:
        return figures(space.pk).pending

    @admin.display(description="running")
    def running(self, space: Space) -> int:
        return figures(space.pk).running

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, found: QuerySet[Space]) -> None:
        for space in found:
            lifecycle.pause(space)
        self.message_user(request, "Paused. Waiting visitors see that.")

    @admin.action(description="Restart", permissions=["change"])
    def restart(self, request: HttpRequest, found: QuerySet[Space]) -> None:
        for space in found:
            try:
                lifecycle.restart(space)
            except CardError as error:
                self.message_user(request, f"{space}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{space} starts anew.")

    @admin.action(description="Clear queue", permissions=["change"])
    def clear_queue(self, request: HttpRequest, found: QuerySet[Space]) -> None:
        cleared = sum(clear(space.pk) for space in found)
        self.message_user(request, f"Ended {cleared} waiting calls; each visitor sees why.")


@admin.register(Build)
class BuildAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Builds: what was built, when, and with what result."""

    list_display = ("__str__", "status", "worker", "created_at", "finished_at", "reason")
    list_filter = ("status",)
    list_select_related = ("space__owner",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Build | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Build | None = None) -> bool:
        return False
