"""From a claim to the call's end: dispatchers claim events and call the app in the replica's container.

Runs in the Celery worker of the replica's node, on one event loop of its own. Owns the leases of the replicas
that it serves; `reaper` recovers work that no dispatcher serves any more."""
