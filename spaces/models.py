"""What is this Space: its row, its builds, its secrets and variables."""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from encrypted_fields.fields import EncryptedTextField

from accounts.models import Owner, User
from hardware.runtimes.egress_policy import BadEgress, Egress
from spaces.sdk import Sdk as Sdk


class Stage(models.TextChoices):
    """The Hub's runtime stages, by its names; SLEEPING is what the Hub answers too for an idle Space."""

    NO_APP_FILE = "NO_APP_FILE"
    CONFIG_ERROR = "CONFIG_ERROR"
    BUILDING = "BUILDING"
    BUILD_ERROR = "BUILD_ERROR"
    APP_STARTING = "APP_STARTING"
    RUNNING = "RUNNING"
    RUNNING_BUILDING = "RUNNING_BUILDING"
    RUNNING_APP_STARTING = "RUNNING_APP_STARTING"
    RUNTIME_ERROR = "RUNTIME_ERROR"
    SLEEPING = "SLEEPING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    DELETING = "DELETING"


class Visibility(models.TextChoices):
    PUBLIC = "public"
    PRIVATE = "private"


def is_egress(value: str) -> None:
    """The value is an egress policy.

    Raises:
        ValidationError
    """
    try:
        Egress.parse(value)
    except BadEgress as error:
        raise ValidationError(str(error)) from error


class Space(models.Model):
    """One demo: a git repository, the settings it runs under, and the stage it is in."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="spaces")
    name = models.CharField(max_length=96)
    #: First label of the demo host, unique over all Spaces: `<owner>-<name>` in DNS form (`spaces.names`).
    subdomain = models.CharField(max_length=63, unique=True)
    sdk = models.CharField(max_length=8, choices=Sdk.choices, default=Sdk.GRADIO)
    visibility = models.CharField(max_length=8, choices=Visibility.choices, default=Visibility.PUBLIC)
    #: The tier that the owner chose (`hardware.tiers`); the one in use is the replica's.
    hardware = models.CharField(max_length=16, default="cpu")
    #: On how many replicas it is to run (`spaces.scaling`); with a `ReplicaRange`, on how many for now.
    replica_count = models.PositiveSmallIntegerField(default=1, db_default=1)
    #: Seconds without a visitor after which the Space sleeps; null is never.
    sleep_time_s = models.PositiveIntegerField(null=True, blank=True)
    stage = models.CharField(max_length=24, choices=Stage.choices, default=Stage.NO_APP_FILE)
    #: Why it is in this stage and what to do, in one or two sentences; empty when all is well.
    stage_reason = models.TextField(blank=True)
    #: Where it may connect to (`hardware.runtimes.egress_policy.Egress`); empty: SPACEPORT_EGRESS.
    egress = models.CharField(max_length=1000, blank=True, validators=[is_egress])
    #: Head of `main` in its repository, and its README's front matter as parsed from there.
    sha = models.CharField(max_length=40, blank=True)
    card = models.JSONField(default=dict, blank=True)
    #: The commit that its owner went back to, and that runs until the next push; empty: the head of `main`.
    rolled_back_to = models.CharField(max_length=40, blank=True, default="", db_default="")
    #: Whether a push of code is taken into the process that runs (`spaces.building.hot_reload`).
    hot_reload = models.BooleanField(default=False, db_default=False)
    title = models.CharField(max_length=200, blank=True)
    emoji = models.CharField(max_length=16, blank=True)
    short_description = models.CharField(max_length=300, blank=True)
    #: The replica that visitors are sent to now; null while there is none.
    replica = models.ForeignKey(
        "hardware.Replica", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_modified = models.DateTimeField(auto_now=True)
    last_visited_at = models.DateTimeField(null=True, blank=True)
    #: How many users like it (`spaces.community.likes`).
    likes = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("owner", Lower("name"), name="space_name_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.owner.name}/{self.name}"

    @property
    def wanted_sha(self) -> str:
        """The commit that is to run."""
        return self.rolled_back_to or self.sha


class ReplicaRange(models.Model):
    """Between how many replicas a Space runs, as its visitors' waits need (`spaces.scaling.scaler`)."""

    space = models.OneToOneField(Space, on_delete=models.CASCADE, related_name="replica_range")
    least = models.PositiveSmallIntegerField()
    most = models.PositiveSmallIntegerField()
    #: Seconds of waiting that nine of ten visitors are to stay below.
    goal_s = models.FloatField()
    #: Seconds after which a replica that is not needed ends.
    quiet_s = models.FloatField()
    #: How many replicas were added and taken away since there is a range, for the metrics.
    added = models.PositiveIntegerField(default=0, db_default=0)
    removed = models.PositiveIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.least} to {self.most} replicas of {self.space_id}"


class ScaleStep(models.Model):
    """The number of a Space's replicas was changed by its range."""

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="scale_steps")
    at = models.DateTimeField(default=timezone.now)
    before = models.PositiveSmallIntegerField()
    after = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.before} to {self.after} replicas of {self.space_id}"


class FormerName(models.Model):
    """A name that a Space had before it was moved: it leads to the Space until somebody takes it."""

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="former_names")
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=96)
    subdomain = models.CharField(max_length=63, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("owner", Lower("name"), name="former_name_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.owner.name}/{self.name}"


class Like(models.Model):
    """A user likes a Space."""

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="liked_by")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="likes")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["space", "user"], name="like_unique")]

    def __str__(self) -> str:
        return f"{self.user_id} likes {self.space_id}"


class Collection(models.Model):
    """Spaces, and other collections, that an owner shows together under a title."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="collections")
    key = models.CharField(max_length=24, unique=True)
    title = models.CharField(max_length=100)
    description = models.CharField(max_length=150, blank=True)
    private = models.BooleanField(default=False)
    theme = models.CharField(max_length=8)
    position = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.owner.name}/{self.title}"


class CollectionItem(models.Model):
    """A Space in a collection, or another collection."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="items")
    key = models.CharField(max_length=24, unique=True)
    space = models.ForeignKey(Space, on_delete=models.CASCADE, null=True, related_name="+")
    nested = models.ForeignKey(Collection, on_delete=models.CASCADE, null=True, related_name="+")
    position = models.PositiveIntegerField()
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["collection", "space"], name="collection_space_unique"),
            models.UniqueConstraint(fields=["collection", "nested"], name="collection_nested_unique"),
            models.CheckConstraint(
                condition=models.Q(space__isnull=True) ^ models.Q(nested__isnull=True),
                name="collection_item_is_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.space or self.nested} in {self.collection}"


class Webhook(models.Model):
    """An address that receives what happens to Spaces (`spaces.webhooks`)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=2000)
    #: [{"type": "user", "org" or "space", "name"}]
    watched = models.JSONField()
    #: Of "repo", "space" and "discussion".
    domains = models.JSONField()
    secret = EncryptedTextField(null=True, blank=True)
    disabled = models.BooleanField(default=False)
    #: Deliveries given up since the last that was taken.
    failures = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"webhook {self.pk} of {self.user_id}"


class WebhookDelivery(models.Model):
    """One event for one webhook: to be sent, or what came of it."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    space_name = models.CharField(max_length=200)
    scope = models.CharField(max_length=40)
    payload = models.JSONField()
    #: An event of this key is sent once; null: each is.
    once = models.CharField(max_length=80, null=True, blank=True)  # noqa: DJ001  # null is distinct
    attempts = models.PositiveSmallIntegerField(default=0)
    #: Null: it is done or given up.
    next_try_at = models.DateTimeField(null=True, blank=True, db_index=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    #: The receiver's last answer: its status, null for none, and how it begins, or why there was none.
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    said = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["webhook", "once"], name="delivery_once")]

    def __str__(self) -> str:
        return f"{self.scope} of {self.space_name} to webhook {self.webhook_id}"


class TrustedPublisher(models.Model):
    """CI jobs that may push to a Space without a stored token (`spaces.signin`)."""

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="publishers")
    #: The user in whose name they push, for as long as that user may.
    made_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    issuer = models.CharField(max_length=500)
    #: The claims that the job's id token must have: {claim: text}.
    claims = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.claims.get("repository") or self.claims.get("sub") or self.issuer)


class Build(models.Model):
    """One build of one commit: what came of it, and its whole log once it ended."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="builds")
    sha = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    reason = models.TextField(blank=True)
    #: The build worker that has it, until when unless it renews that, and how many workers have had it.
    worker = models.CharField(max_length=200, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    #: Whether this commit ran before and what its build made is gone: it runs again, whatever `main` is now.
    restores = models.BooleanField(default=False, db_default=False)
    #: What the runtime made of it, as `hardware.runtimes.base.Artifact` in JSON form.
    artifact = models.JSONField(null=True, blank=True)
    log = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"build {self.pk} of {self.space_id} at {self.sha[:7]}: {self.status}"

    @property
    def took_s(self) -> float | None:
        """Seconds from its beginning to its end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def size_bytes(self) -> int | None:
        """Bytes on disk of what the runtime made; None where it is not kept, or not known."""
        return (self.artifact or {}).get("size_bytes") or None


class Secret(models.Model):
    """An environment variable whose value is never shown again; encrypted at rest."""

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="secrets")
    key = models.CharField(max_length=128)
    value = EncryptedTextField()
    description = models.CharField(max_length=300, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["space", "key"], name="secret_unique")]

    def __str__(self) -> str:
        return f"secret {self.key} of {self.space_id}"


class Variable(models.Model):
    """An environment variable that is visible to every reader of the Space."""

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="variables")
    key = models.CharField(max_length=128)
    value = models.TextField(blank=True)
    description = models.CharField(max_length=300, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["space", "key"], name="variable_unique")]

    def __str__(self) -> str:
        return f"variable {self.key} of {self.space_id}"


class Volume(models.Model):
    """A folder on disk that the Spaces of its owner may have, and that outlives them."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="volumes")
    name = models.CharField(max_length=96)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("owner", Lower("name"), name="volume_name_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.owner.name}/{self.name}"


class Mount(models.Model):
    """Where a Space has a volume of its owner's."""

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="mounts")
    volume = models.ForeignKey(Volume, on_delete=models.PROTECT, related_name="mounts")
    path = models.CharField(max_length=600)
    read_only = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["space", "path"], name="mount_unique")]

    def __str__(self) -> str:
        return f"{self.volume} at {self.path}"


class LargeFile(models.Model):
    """A Space has this object of the store of large files (`spaces.lfs`); other Spaces may have it too."""

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="large_files")
    #: SHA-256 of its content, in hex.
    oid = models.CharField(max_length=64, db_index=True)
    size_bytes = models.PositiveBigIntegerField()
    #: When it was last uploaded, or requested for an upload.
    held_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["space", "oid"], name="large_file_unique"),
        ]

    def __str__(self) -> str:
        return f"large file {self.oid[:12]} of {self.space_id}"
