"""The queue settings of one Space, and what its minutes were like. Of the settings rows are the record;
`queueing.queue_settings` publishes them to Redis, where the scripts read them on every claim and join. Of the
minutes Redis has the newest; `queueing.stats.rollup` stores them here."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class QueueSettings(models.Model):
    """The owner's settings, and those in the app's code; see `queueing.queue_settings.effective`."""

    # One of the foreign keys that point up, as strings (there are hardware.Replica.space and the one below).
    space = models.OneToOneField("spaces.Space", on_delete=models.CASCADE, related_name="queue_settings")
    #: Settings the owner has set, by name; they win.
    chosen = models.JSONField(default=dict, blank=True)
    #: Settings found in the app's code (`demo.queue(...)`, `batch=True`), reported by the launcher.
    found = models.JSONField(default=dict, blank=True)
    #: What runs at once is lowered for want of memory: `queueing.stats.memory_steps.Step`; {}: it is not.
    stepped = models.JSONField(default=dict, db_default={}, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"queue settings of {self.space_id}"


class AppliedSettings(models.Model):
    """Queue settings that were put into force with a forecast of what they would do:
    `queueing.tuning.applied`."""

    space = models.ForeignKey("spaces.Space", on_delete=models.CASCADE, related_name="+")
    applied_at = models.DateTimeField()
    #: The user's name then.
    applied_by = models.CharField(max_length=150, blank=True)
    #: The settings that changed, before and after.
    before = models.JSONField()
    after = models.JSONField()
    #: `queueing.tuning.what_if`'s figures for the visitors of the time before; empty: too few were measured.
    expected = models.JSONField(default=dict, blank=True)
    #: What a measurement says of them, in a sentence; "" where none was made.
    measured = models.TextField(blank=True, default="", db_default="")

    def __str__(self) -> str:
        return f"{self.space_id} from {self.applied_at:%Y-%m-%d %H:%M} on: {self.after}"


class TuningRun(models.Model):
    """One measurement of a Space on a replica of its own: `queueing.tuning.runs`."""

    class Status(models.TextChoices):
        STARTING = "starting"  # its replica starts
        MEASURING = "measuring"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    space = models.ForeignKey("spaces.Space", on_delete=models.CASCADE, related_name="+")
    #: The version: its commit, and the build that runs.
    sha = models.CharField(max_length=40)
    build_id = models.BigIntegerField(null=True)
    tier = models.CharField(max_length=16)
    replica_id = models.BigIntegerField()
    #: The user's name then.
    started_by = models.CharField(max_length=150, blank=True)
    #: `queueing.tuning.runs.Options`, and what came so far: `queueing.tuning.results.Results`, as JSON.
    options = models.JSONField(default=dict)
    results = models.JSONField(default=dict)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.STARTING)
    #: Why it failed or ended early, in a sentence; while it goes on, what it does.
    note = models.TextField(blank=True)
    #: Of the task that measures: its name, when it was alive last, and how many there were.
    holder = models.CharField(max_length=40, blank=True)
    seen_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["space"], condition=models.Q(finished_at__isnull=True), name="one_tuning_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.space_id} at {self.sha[:7]}: {self.status}"


class QueueMinute(models.Model):
    """What one function did in one minute in which something happened; kept 30 days. The row without a
    function has the whole Space's highest numbers of that minute."""

    space = models.ForeignKey("spaces.Space", on_delete=models.CASCADE, related_name="+", db_index=False)
    minute = models.DateTimeField()
    lane = models.CharField(max_length=8, blank=True)
    #: The app's fn_index as text; with the API name it had then.
    fn = models.CharField(max_length=200, blank=True)
    api_name = models.CharField(max_length=200, blank=True)
    page = models.PositiveIntegerField(default=0)
    api = models.PositiveIntegerField(default=0)
    full = models.PositiveIntegerField(default=0)
    closed = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    retried = models.PositiveIntegerField(default=0)
    pending = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    calls = models.PositiveIntegerField(default=0)
    #: {bucket: events}, `queueing.stats.histograms`; join to first claim, claim to finish, and join to the
    #: moment in which its visitor gave up waiting.
    wait = models.JSONField(default=dict)
    service = models.JSONField(default=dict)
    left = models.JSONField(default=dict, db_default={})
    #: {events in one call: calls}, of batch functions.
    batch = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["space", "minute", "lane", "fn"], name="one_row_a_minute")
        ]
        indexes: ClassVar = [models.Index(fields=["minute"])]

    def __str__(self) -> str:
        return f"{self.space_id} at {self.minute:%H:%M}: {self.lane} {self.fn}"
