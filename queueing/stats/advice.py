"""Advice on each queue setting from the last 24 hours, in one plain sentence with its figures. Pure: measured
facts, the settings and the tier in; sentences out, and none where too little was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hardware.tiers import GIB, Tier
from queueing.setting_fields import GROUP, Settings
from queueing.stats.counters import Tally
from queueing.stats.histograms import Histogram, quantile, seconds_in, share_over
from queueing.stats.patience import patience

#: Below this many events in the last 24 hours there is no advice.
FEWEST = 20
#: Below this many minutes of use there is no advice about memory and cores.
FEWEST_MINUTES = 5

LONG_WAIT_S = 30.0
#: The share of visitors from which on a long wait is worth a change.
MANY_SHARE = 0.2
#: The share of the memory above which nothing more should go into the container.
NEARLY = 0.85


@dataclass(frozen=True, kw_only=True)
class Used:
    """The container's use in the minutes in which it worked. Memory in bytes, at its most; cores in the
    median minute."""

    minutes: int
    memory_bytes: int
    cores: float


@dataclass(frozen=True, kw_only=True)
class GroupUse:
    """One group of functions: its limit, the limit's source, and what its functions did."""

    limit: int | None
    source: str
    tally: Tally


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was measured of one Space in the last 24 hours. `main`: queued functions that visitors started;
    `groups`: those of them that share a limit; `batches`: of batch functions among them, {size: calls}."""

    main: Tally = field(default_factory=Tally)
    groups: dict[str, GroupUse] = field(default_factory=dict)
    batches: Histogram = field(default_factory=dict)
    most_pending: int = 0
    most_running: int = 0
    most_calls: int = 0
    has_batch_function: bool = False
    used: Used | None = None


def advice(facts: Facts, settings: Settings, tier: Tier) -> dict[str, str]:
    """A sentence for each setting, and each group with a number of its own ("group:<name>"), on which the
    facts support advice."""
    if facts.main.arrivals + facts.main.refused < FEWEST:
        return {}
    sentences = {name: rule(facts, settings, tier) for name, rule in RULES.items()}
    for name, use in facts.groups.items():
        if use.source != "default":
            sentences[f"{GROUP}{name}"] = _at_once(use.tally, use.tally.running, use.limit, facts, tier)
    return {name: sentence[0].upper() + sentence[1:] for name, sentence in sentences.items() if sentence}


# --- one rule for each setting: "" where it has no advice ----------------------------------------------


def _concurrency(facts: Facts, settings: Settings, tier: Tier) -> str:
    """Of the Space's only group, or of that one without a number of its own whose visitors waited most."""
    without = {name: use for name, use in facts.groups.items() if use.source == "default"}
    if len(facts.groups) < 2:
        if facts.groups and not without:
            return ""
        return _at_once(facts.main, facts.most_running, settings.concurrency_count, facts, tier)
    if not without:
        return ""
    name, use = max(without.items(), key=lambda item: share_over(item[1].tally.wait, LONG_WAIT_S))
    sentence = _at_once(use.tally, use.tally.running, use.limit, facts, tier)
    return f"in {name} {sentence}" if sentence else ""


def _at_once(tally: Tally, most: int, now: int | None, facts: Facts, tier: Tier) -> str:
    """Of one group: `most` calls ran at once, of `now` that may."""
    used = facts.used
    if used is None or used.minutes < FEWEST_MINUTES or now is None:
        return ""
    memory = f"{_gib(used.memory_bytes)} of {_gib(tier.memory_bytes)} GiB"
    if used.memory_bytes > NEARLY * tier.memory_bytes:
        if len(facts.groups) > 1:
            return ""  # the total limit decides
        if now > 1:
            return f"the container used {memory}: with fewer than {now} calls at once it would not run out."
    if not _served(tally):
        return ""
    over, waited = _waited(tally)
    uses = f"the container used {memory} and {_number(used.cores)} of {_number(tier.cpus)} cores"
    if most < now:
        # Any waits had another cause: a start, a pause.
        enough = f"at most {most} of {now} ran at once; {waited}: it is high enough."
        return enough if over < MANY_SHARE else ""
    if over < MANY_SHARE:
        return ""
    if tier.gpu:
        return f"{waited}; {uses}. What more at once would take of the GPU was not measured."
    together = max(now, facts.most_running)
    more = min(2 * now, now + _room(used, together, tier) - together)
    if more > now:
        return f"{waited}; {uses}: try {more} at once."
    return f"{waited}; {uses}: more at once would not help, larger hardware would."


def _max_running(facts: Facts, settings: Settings, tier: Tier) -> str:
    used, now = facts.used, facts.most_running
    if len(facts.groups) < 2 or used is None or used.minutes < FEWEST_MINUTES:
        return ""
    memory = f"{_gib(used.memory_bytes)} of {_gib(tier.memory_bytes)} GiB"
    if used.memory_bytes > NEARLY * tier.memory_bytes:
        text = f"the container used {memory} while at most {now} calls ran at once"
        return f"{text}: with fewer altogether it would not run out." if now > 1 else ""
    if settings.max_running is None or not _served(facts.main):
        return ""
    over, waited = _waited(facts.main)
    if now < settings.max_running:
        enough = f"at most {now} of {settings.max_running} ran at once; {waited}: it is high enough."
        return enough if over < MANY_SHARE else ""
    more = _room(used, settings.max_running, tier)
    if over < MANY_SHARE or tier.gpu or more <= settings.max_running:
        return ""
    return f"{waited}; the container used {memory}: try {more} altogether."


def _room(used: Used, now: int, tier: Tier) -> int:
    """Calls at once that the machine surely has room for: at most twice as many as now, as if each took its
    share of what is used. Cores may be overcommitted a little, memory may not."""
    by_memory = NEARLY * tier.memory_bytes / max(used.memory_bytes, 1)
    by_cores = 1.1 * tier.cpus / max(used.cores, 0.01)
    return int(now * min(2.0, by_memory, by_cores))


def _by_patience(facts: Facts, settings: Settings) -> str:
    """A queue as long as half of the visitors would wait; the others learn at once that it is too long."""
    service, served = facts.main.service, sum(facts.main.service.values())
    half_s = patience(facts.main.wait, facts.main.left).time_of(0.5)
    if half_s is None or not served or not facts.most_running or not _served(facts.main):
        return ""
    batch = facts.main.mean_batch or 1
    in_time = int(half_s * facts.most_running * batch * served / seconds_in(service))
    if in_time < 1 or (settings.max_size is not None and settings.max_size <= 1.5 * in_time):
        return ""
    wait = f"half of the visitors give up after {_time(half_s)}"
    return f"{wait}, in which {in_time:,} are served: try {in_time:,}."


def _max_size(facts: Facts, settings: Settings, tier: Tier) -> str:
    if sentence := _by_patience(facts, settings):
        return sentence
    full, arrivals = facts.main.counts["full"], facts.main.arrivals
    if full:
        text = f"{full:,} of {full + arrivals:,} found the queue full"
        slowest = quantile(facts.main.wait, 0.95)
        if slowest is not None and slowest < LONG_WAIT_S and settings.max_size is not None:
            waits = f"95 of 100 others waited at most {_time(slowest)}"
            return f"{text}, while {waits}: try {2 * settings.max_size:,}."
        return f"{text}."
    over = share_over(facts.main.wait, 10 * 60)
    if settings.max_size is None and _served(facts.main) and over >= 0.05:
        likely = quantile(facts.main.wait, 0.5) or 0
        return (
            f"{_share(over)} visitors waited over 10 min, {_time(likely)} in the middle, and up to "
            f"{facts.most_pending:,} at once: a limit would tell the last ones at once instead."
        )
    if settings.max_size is not None:
        taken = f"{facts.most_pending:,} of {settings.max_size:,} places"
        return f"at most {taken} were taken; nobody was turned away."
    return ""


def _batch(facts: Facts, settings: Settings, tier: Tier) -> str:
    if settings.batch or not facts.has_batch_function or not _served(facts.main):
        return ""
    over, waited = _waited(facts.main)
    if over < MANY_SHARE:
        return ""
    return f"{waited}, up to {facts.most_pending:,} at once, and the app has a batch function: try it on."


def _max_batch_size(facts: Facts, settings: Settings, tier: Tier) -> str:
    calls = sum(facts.batches.values())
    if not settings.batch or calls < FEWEST:
        return ""
    mean = sum(size * count for size, count in facts.batches.items()) / calls
    full = facts.batches.get(settings.max_batch_size, 0) / calls
    size = settings.max_batch_size
    sentence = f"{_share(full)} batches had the full {size} inputs ({_number(mean)} on average)"
    over, waited = _waited(facts.main)
    if full < MANY_SHARE:
        return f"{sentence}: it is large enough."
    used = facts.used
    if tier.gpu:  # its memory is what bounds a batch, and is not measured
        return ""
    if full < 0.5 or over < MANY_SHARE or used is None or used.minutes < FEWEST_MINUTES:
        return ""
    memory = f"the container used {_gib(used.memory_bytes)} of {_gib(tier.memory_bytes)} GiB"
    if 2 * used.memory_bytes > NEARLY * tier.memory_bytes:
        return f"{sentence}, and {waited}; {memory}, which leaves no room for larger ones."
    return f"{sentence}, and {waited}; {memory}: try {2 * size}."


def _api_open(facts: Facts, settings: Settings, tier: Tier) -> str:
    page, api, closed = (facts.main.counts[name] for name in ("page", "api", "closed"))
    if not settings.api_open:
        return f"{closed:,} calls by programs were refused; {page:,} came from the page." if closed else ""
    over, waited = _waited(facts.main)
    if not _served(facts.main) or over < MANY_SHARE or api < (page + api) / 2 or not page:
        return ""
    programs = f"{_share(api / (page + api))} events came from programs"
    return f"{programs}, and {waited}: with it off the page's visitors would wait less."


def _max_threads(facts: Facts, settings: Settings, tier: Tier) -> str:
    if facts.most_calls == 0:
        return ""
    most = f"at most {facts.most_calls:,} of {settings.max_threads:,} calls ran at once"
    if facts.most_calls < settings.max_threads:
        return f"{most}: it is high enough."
    return f"{most}, so some had to wait for a thread: try {2 * settings.max_threads:,}."


RULES: dict[str, Callable[[Facts, Settings, Tier], str]] = {
    "concurrency_count": _concurrency,
    "max_running": _max_running,
    "max_size": _max_size,
    "batch": _batch,
    "max_batch_size": _max_batch_size,
    "api_open": _api_open,
    "max_threads": _max_threads,
}


def _served(tally: Tally) -> bool:
    """Whether enough waits were measured to speak of shares."""
    return sum(tally.wait.values()) >= FEWEST


# --- figures in words ----------------------------------------------------------------------------------


def _waited(tally: Tally) -> tuple[float, str]:
    """The share that waited long, and a sentence's beginning about it."""
    over = share_over(tally.wait, LONG_WAIT_S)
    return over, f"{_share(over)} visitors waited over {LONG_WAIT_S:.0f} s"


def _share(share: float) -> str:
    """ "4 of 5", "97 of 100", "none of the": of the fractions that are near enough, the plainest."""
    if share < 0.005:
        return "none of the"
    if share > 0.995:
        return "all"
    for of in (2, 3, 4, 5, 10):
        if abs(share - round(share * of) / of) < 0.02 and 0 < round(share * of) < of:
            return f"{round(share * of)} of {of}"
    return f"{round(share * 100)} of 100"


def _gib(size: int) -> str:
    return _number(size / GIB)


def _number(value: float) -> str:
    """One digit behind the point, where it matters."""
    return f"{value:.1f}".removesuffix(".0")


def _time(seconds: float) -> str:
    if seconds < 1:
        return "a second"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
