"""Nodes and replicas in the records: to read. What runs is changed by its Space's pages and by nodes."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from hardware import nodes
from hardware.models import Node, Replica


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the platform writes itself."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


@admin.register(Node)
class Nodes(ReadOnly):
    """A node that is gone for good can be deleted; one that lives comes back by itself."""

    list_display = ("name", "is_up", "tier_names", "runtime", "heartbeat_at")

    @admin.display(boolean=True, description="up")
    def is_up(self, node: Node) -> bool:
        """Whether its heartbeat is fresh."""
        return nodes.is_up(node)

    @admin.display(description="tiers")
    def tier_names(self, node: Node) -> str:
        """What it serves."""
        return ", ".join(
            f"{name} (simulated)" if about.get("simulated") else name for name, about in node.tiers.items()
        )


@admin.register(Replica)
class Replicas(ReadOnly):
    """Without the start order: it holds secrets."""

    list_display = ("pk", "space", "tier", "node", "state", "wanted", "restarts", "created_at", "ended_at")
    list_filter = ("state", "wanted", "tier")
    list_select_related = ("space__owner", "node")
    search_fields = ("space__name", "space__owner__name", "node__name")
    exclude = ("spec",)
    ordering = ("-pk",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: a row whose container still runs must be found again."""
        return False
