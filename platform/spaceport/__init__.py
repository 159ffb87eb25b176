"""Spaceport: how the four apps are put together."""

from infra.gc_tuning import collect_rarely

collect_rarely()  # every process of ours begins here
