"""Where does it run: nodes and replicas."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from encrypted_fields.fields import EncryptedJSONField, EncryptedTextField

from accounts.models import Owner


class Node(models.Model):
    """A machine with a worker for one or more tiers. A node is up while its heartbeat is fresh."""

    name = models.CharField(max_length=200, unique=True)
    #: {"cpu": {"simulated": false}, "t4": {"simulated": true}}: what its workers serve.
    tiers = models.JSONField(default=dict)
    #: "docker" or "process".
    runtime = models.CharField(max_length=8)
    #: Where it keeps named volumes: nodes with the same one share them.
    place = models.CharField(max_length=300, blank=True, default="", db_default="")
    #: The hardware that is there, from `hardware.devices.found`.
    devices = models.JSONField(default=dict, blank=True)
    #: What it lends to Spaces, from `hardware.placement.capacity.found`; empty: not known, so not limited.
    capacity = models.JSONField(default=dict, db_default={}, blank=True)
    heartbeat_at = models.DateTimeField()
    #: It hands its replicas over, and then ends.
    leaving = models.BooleanField(default=False, db_default=False)
    #: Since when an administrator has it drained (`hardware.upkeep.draining`), and how far that is: "spaces"
    #: that ran there at first, "stays" and "failed" by Space, with why.
    draining_since = models.DateTimeField(null=True, blank=True)
    drain = models.JSONField(default=dict, db_default={}, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class JoinedNode(models.Model):
    """What distinguishes a node that joined with a token from one that has the platform's own settings
    (`hardware.trust`). Removing the node removes it, and with it all that it may do."""

    node = models.OneToOneField(Node, on_delete=models.CASCADE, related_name="joined")
    #: Of the credential that it shows to the platform.
    digest = models.CharField(max_length=64, unique=True)
    #: "ip:port" where its replicas are reached, by TLS.
    address = models.CharField(max_length=60)
    certificate_expires_at = models.DateTimeField()
    #: Of its password in Redis.
    redis_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.node} at {self.address}"

    @property
    def label(self) -> str:
        """In its certificate, and never another node's: numbers are not used again."""
        return f"n{self.pk}"


class JoinToken(models.Model):
    """Lets one machine join, once."""

    digest = models.CharField(max_length=64, unique=True)
    last_four = models.CharField(max_length=4)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    #: The name of the node that used it.
    used_by = models.CharField(max_length=200, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"…{self.last_four}"


class Authority(models.Model):
    """The platform's own certificate authority: one row, made with the first node that joins."""

    #: As PEM, both.
    certificate = models.TextField()
    key = EncryptedTextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return "the platform's certificate authority"


class HardwareTier(models.Model):
    """A kind of hardware that Spaces may choose (`hardware.tiers`, where the fields are explained). A change
    reaches a replica when its Space is started the next time."""

    name = models.CharField(max_length=16, unique=True)
    title = models.CharField(max_length=60)
    cpus = models.FloatField()
    memory_bytes = models.PositiveBigIntegerField()
    pids = models.PositiveIntegerField()
    gpu = models.CharField(max_length=40, blank=True)
    gpu_memory_bytes = models.PositiveBigIntegerField(default=0)
    aliases = models.JSONField(default=list, blank=True)
    sandbox = models.CharField(max_length=40, blank=True, default="", db_default="")
    note = models.CharField(max_length=200, blank=True)
    price_per_hour = models.DecimalField(max_digits=10, decimal_places=4, default=0)
    is_closed = models.BooleanField(default=False)
    most_per_owner = models.PositiveIntegerField(null=True, blank=True)
    #: Only `owners` may choose it.
    is_restricted = models.BooleanField(default=False)
    owners: models.ManyToManyField[Owner, models.Model] = models.ManyToManyField(
        Owner, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return self.title


class HardwareUse(models.Model):
    """What a Space used of a tier in a month: seconds that its replicas served, and what they cost. It
    outlives the Space."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+")
    space_id = models.BigIntegerField()
    #: "owner/name", as it was last.
    space_name = models.CharField(max_length=200)
    tier = models.CharField(max_length=16)
    #: Its first day.
    month = models.DateField()
    seconds = models.FloatField(default=0)
    cost = models.DecimalField(max_digits=16, decimal_places=6, default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "space_id", "tier", "month"], name="hardware_use_unique")
        ]

    def __str__(self) -> str:
        return f"{self.space_name} on {self.tier}, {self.month:%Y-%m}: {self.seconds:.0f} s"

    @property
    def hours(self) -> float:
        """The same in hours."""
        return self.seconds / 3600


class Replica(models.Model):
    """One container (or process) of a Space on one node. `wanted` is the order, `state` the report:
    the node's agent works until they agree."""

    class State(models.TextChoices):
        PENDING = "pending"  # no node has taken it yet
        STARTING = "starting"
        READY = "ready"
        STOPPED = "stopped"  # ended because it was no longer wanted
        FAILED = "failed"  # ended, or never got ready, though it was wanted

    #: A `cause`: what its build made is not on its node any more.
    MISSING = "missing"

    # One of the foreign keys that point up, as strings (the others are in queueing.models).
    space = models.ForeignKey("spaces.Space", on_delete=models.CASCADE, related_name="replicas")
    build_id = models.BigIntegerField(null=True)
    tier = models.CharField(max_length=16)
    node = models.ForeignKey(Node, null=True, blank=True, on_delete=models.SET_NULL, related_name="replicas")
    #: Everything needed to start it; contains secrets (read it with `hardware.replicas.spec_of`).
    spec = EncryptedJSONField()
    #: What it may use (`hardware.tiers.Limits` in JSON form), and what an hour of it costs: its tier's when
    #: it was ordered. Empty: an earlier version ordered it.
    limits = models.JSONField(default=dict, db_default={}, blank=True)
    price_per_hour = models.DecimalField(max_digits=10, decimal_places=4, default=0, db_default=0)
    #: The numbers of the named volumes that it is to have: only nodes that keep them can take it.
    volumes = models.JSONField(default=list, db_default=[], blank=True)
    #: UUIDs of its node's devices that it has for itself.
    devices = models.JSONField(default=list, db_default=[], blank=True)
    #: While no node has room for it: `hardware.placement.rooms.Waits`, as a dictionary.
    waits = models.JSONField(default=dict, db_default={}, blank=True)
    wanted = models.BooleanField(default=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    reason = models.TextField(blank=True)
    #: Why it FAILED, where that is the platform's to mend: `MISSING`.
    cause = models.CharField(max_length=16, blank=True, default="", db_default="")
    #: "host:port" reachable from web and workers, once READY.
    address = models.CharField(max_length=100, blank=True)
    #: The runtime's own name for it (container id, process id): a freed address may go to another Space.
    runtime_id = models.CharField(max_length=100, blank=True)
    simulated = models.BooleanField(default=False)
    #: What the launcher found in the app: queue arguments, functions (`docker/base/launcher`).
    report = models.JSONField(default=dict, blank=True)
    restarts = models.PositiveIntegerField(default=0)
    #: The commit whose code its process took in while it ran (`HALF`: a part of it), until its row names that
    #: commit's build; and what that did, as `spaces.building.hot_reload.Outcome`.
    reloaded_to = models.CharField(max_length=40, blank=True, default="", db_default="")
    reload = models.JSONField(null=True, blank=True)
    #: The image of dependencies that the build of its next version found made, until its node has seen it.
    next_image = models.CharField(max_length=200, blank=True, default="", db_default="")
    #: Since when visitors are sent to another one; it may be gone back to. Null: it is to serve.
    set_aside_at = models.DateTimeField(null=True, blank=True)
    #: The replica that leads its Space, beside which it serves (`spaces.scaling`). Null: it leads, or is to.
    beside = models.BigIntegerField(null=True, blank=True)
    #: It is there to be measured (`queueing.tuning`): beside that one too, but no visitor is ever sent to it.
    shadow = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    #: Up to when its time is in `HardwareUse`.
    counted_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["node", "wanted"]),
            models.Index(
                fields=["space"], condition=models.Q(wanted=True, beside__isnull=False), name="replica_beside"
            ),
        ]

    def __str__(self) -> str:
        return f"replica {self.pk} of {self.space_id} on {self.tier}: {self.state}"


class VolumeHome(models.Model):
    """Where a named volume is kept, which is where a Space had it first, and how much is in it."""

    volume_id = models.BigIntegerField(unique=True)
    #: As nodes name theirs.
    place = models.CharField(max_length=300)
    size_bytes = models.PositiveBigIntegerField(default=0)
    #: With its folders.
    files = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"volume {self.volume_id} in {self.place}"


class Deleted(models.Model):
    """A Space, or else a named volume, that was deleted: every node removes what it has of it."""

    space_id = models.BigIntegerField(null=True)
    volume_id = models.BigIntegerField(null=True)
    #: Names of the nodes that have.
    cleared_by = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"deleted space {self.space_id}" if self.space_id else f"deleted volume {self.volume_id}"
