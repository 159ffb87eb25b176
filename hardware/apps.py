import ssl
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db.models.signals import post_delete, post_migrate


class HardwareConfig(AppConfig):
    name = "hardware"

    def ready(self) -> None:
        from hardware.hop import here
        from hardware.hop.addresses import CONNECTIONS
        from hardware.tiers import TIERS, rows
        from hardware.trust import database_role

        register(egress_is_a_policy)
        TIERS.source = rows.load
        CONNECTIONS.source = _client_context if here.membership() is None else None
        post_migrate.connect(rows.fill, sender=self)
        post_migrate.connect(database_role.grant_again, sender=self)
        post_delete.connect(_dismiss, sender=self.get_model("JoinedNode"))


def _client_context() -> ssl.SSLContext:
    from hardware.trust.authority import client_context  # it loads X.509, which one machine alone never needs

    return client_context()


def _dismiss(instance: Any, **_: object) -> None:
    from hardware.trust import joining

    joining.dismiss(instance.pk)


def egress_is_a_policy(**_: object) -> list[CheckMessage]:
    """SPACEPORT_EGRESS can be read."""
    from hardware.runtimes.egress_policy import BadEgress, Egress

    try:
        Egress.parse(settings.SPACEPORT_EGRESS)
    except BadEgress as error:
        return [Error(f"SPACEPORT_EGRESS: {error}", id="hardware.E001")]
    return []
