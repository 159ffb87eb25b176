from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db.models.signals import post_migrate


class HardwareConfig(AppConfig):
    name = "hardware"

    def ready(self) -> None:
        from hardware.tiers import TIERS, rows

        register(egress_is_a_policy)
        TIERS.source = rows.load
        post_migrate.connect(rows.fill, sender=self)


def egress_is_a_policy(**_: object) -> list[CheckMessage]:
    """SPACEPORT_EGRESS can be read."""
    from hardware.runtimes.egress_policy import BadEgress, Egress

    try:
        Egress.parse(settings.SPACEPORT_EGRESS)
    except BadEgress as error:
        return [Error(f"SPACEPORT_EGRESS: {error}", id="hardware.E001")]
    return []
