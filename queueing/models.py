"""The queue settings of one Space. Rows are the record; `queueing.tuning` publishes them to Redis,
where the scripts read them on every claim and join."""

from django.db import models


class QueueSettings(models.Model):
    """What the owner chose, and what the app's own code asked for; see `queueing.tuning.effective`."""

    # One of the two foreign keys that point up, as a string (the other is hardware.Replica.space).
    space = models.OneToOneField("spaces.Space", on_delete=models.CASCADE, related_name="queue_settings")
    #: Settings the owner has set, by name; they win.
    chosen = models.JSONField(default=dict, blank=True)
    #: Settings found in the app's code (`demo.queue(...)`, `batch=True`), reported by the launcher.
    found = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"queue settings of {self.space_id}"
