"""The records of nodes and replicas, read-only: the nodes write them."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from hardware import nodes, usage
from hardware.models import Node, Replica
from hardware.runtimes.environment import size


@admin.register(Node)
class NodeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Nodes; one that is gone for good may be deleted."""

    list_display = ("name", "up", "tiers", "runtime", "capacity", "standby", "heartbeat_at")
    fields = readonly_fields = (
        "name", "tiers", "runtime", "place", "devices", "capacity", "heartbeat_at", "leaving",
        "draining_since", "drain",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(boolean=True)
    def up(self, node: Node) -> bool:
        return nodes.is_up(node)

    @admin.display(description="memory of standby processes")
    def standby(self, node: Node) -> str:
        memory_bytes = usage.standby([node.name]).get(node.name)
        return size(memory_bytes) if memory_bytes else ""


@admin.register(Replica)
class ReplicaAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Replicas, without their orders, which contain secrets."""

    list_display = ("__str__", "node", "wanted", "simulated", "restarts", "created_at", "reason")
    list_filter = ("state", "tier", "wanted")
    list_select_related = ("node",)
    exclude = ("spec",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Replica | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Replica | None = None) -> bool:
        return False
