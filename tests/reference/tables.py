"""The tables of the reference that the code itself knows: each function answers one, in Markdown."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable, Iterator

from django.core.management import get_commands, load_command_class

from hardware import redis_keys as hardware_keys
from hardware.tiers import BUILT_IN
from infra.redis_keys import TABLE
from queueing import messages, setting_fields
from queueing.errors import QueueError
from queueing.store import keys
from spaceport import metrics as metric_families
from spaceport.celery import SCHEDULE, app
from spaces.api import deploy
from spaces.gateway.gradio import mcp
from spaces.models import Stage
from tests.reference import environment as variables

APPS = ("spaceport", "spaces", "queueing", "hardware", "accounts")
#: Which workers consume the queues that are no tier's.
WORKERS = {
    "control": "the control worker: short decisions, scheduled tasks",
    "build": "build workers: hints about builds, which threads of their own make",
}
LIVES = {
    "stays": "as its Space or the platform",
    "work": "while events wait or run",
    "expires": "has a TTL",
    "channel": "is not stored",
}
#: Options that every command of Django has.
DJANGOS = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color",
           "skip_checks"}  # fmt: skip


def environment() -> str:
    """Every variable of the platform, by section."""
    found = variables.variables()
    parts = []
    for section in dict.fromkeys(one.section for one in found):
        rows = [(f"`{one.name}`", one.default, one.help) for one in found if one.section == section]
        title = section[:1].upper() + section[1:] or "Queue"
        parts.append(f"\n### {title}\n\n" + table(("variable", "default", "meaning"), rows))
    return "".join(parts)


def space_settings() -> str:
    """The queue settings, with what holds where nobody chose."""
    rows = [
        (f"`{f.name}`", _plain(f.default), _allowed(f), f.help, ", ".join(_argument(a) for a in f.gradio))
        for f in setting_fields.FIELDS
    ]
    return table(("setting", "default", "values", "meaning", "in Gradio"), rows)


def _argument(gradio: str) -> str:
    function, argument = gradio.split(".")
    return f"`{function}({argument}=)`"


def _plain(value: object) -> str:
    if value is None:
        return "no limit"
    return {True: "on", False: "off"}.get(value, f"`{value}`") if isinstance(value, bool) else f"`{value}`"


def _allowed(field: setting_fields.Field) -> str:
    if field.kind == "bool":
        return "on, off"
    if field.kind == "choice":
        return ", ".join(f"`{choice}`" for choice in field.choices)
    return f"{field.low}-{field.high:,}" + (", or none" if field.kind == "int or none" else "")


def errors() -> str:
    """Every QueueError, by its code."""
    assert mcp  # all subclasses are imported
    found = sorted({(kind.code, kind.status, first_line(kind)) for kind in _below(QueueError)})
    return table(("code", "status", "meaning"), ((f"`{code}`", status, text) for code, status, text in found))


def _below(kind: type[QueueError]) -> Iterator[type[QueueError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def app_messages() -> str:
    """The messages of Gradio's protocol, as `queueing.messages` has them."""
    rows = []
    for kind in messages.Message.__subclasses__():
        fields = ", ".join(f"`{name}`" for name in kind.__struct_fields__)
        rows.append((f"`{kind.__struct_config__.tag}`", fields, first_line(kind)))
    return table(("`msg`", "fields", "meaning"), rows)


def redis_keys() -> str:
    """Every key of the platform, as the code declares it."""
    _ = keys, hardware_keys  # they declare
    rows = ((f"`{key.pattern()}`", key.type, key.owner, LIVES[key.life], sentence(key.make)) for key in TABLE)
    return table(("key", "type", "written by", "lives", "content"), rows)


def celery_queues() -> str:
    """The queues, and which tasks go where."""
    rows = [(f"`{queue.name}`", WORKERS[queue.name]) for queue in app.conf.task_queues]
    rows += [(f"`{tier.queue}`", f"nodes with the tier {tier.name}") for tier in BUILT_IN.values()]
    return table(("queue", "workers"), rows)


def celery_tasks() -> str:
    """Every task of ours, with its schedule."""
    app.loader.import_default_modules()
    every = {name: f"{every_s} s" for every_s, names in SCHEDULE.items() for name in names}
    ours = sorted(name for name in app.tasks if name.split(".")[0] in APPS)
    rows = [(f"`{name}`", every.get(name, ""), sentence(app.tasks[name].run)) for name in ours]
    return table(("task", "every", "does"), rows)


def commands() -> str:
    """The commands of `manage.py` that are ours, with their options."""
    parts = []
    for name, owner in sorted(get_commands().items()):
        if owner not in APPS:
            continue
        command = load_command_class(owner, name)
        actions = [a for a in command.create_parser("manage.py", name)._actions if a.dest not in DJANGOS]
        rows = [(f"`{_option(action)}`", _help(action)) for action in actions]
        listed = table(("argument", "meaning"), rows) if rows else ""
        parts.append(f"\n### `manage.py {name}`\n\n{' '.join(command.help.split())}\n\n{listed}")
    return "".join(parts)


def _option(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else action.metavar or action.dest.upper()
    return f"{action.option_strings[0]} {value}".strip() if action.option_strings else str(value)


def _help(action: argparse.Action) -> str:
    return (action.help or "") % {"default": action.default}


def hub_routes() -> str:
    """The Hub's routes, as `/api/docs` lists them."""
    return "| The Hub's paths |" + deploy.DESCRIPTION.partition("| The Hub's paths |")[2].strip() + "\n"


def stages() -> str:
    """The names of the stages, as code."""
    return ", ".join(f"`{stage}`" for stage in Stage.values) + "\n"


def metrics() -> str:
    """The metrics, as `spaceport.metrics` describes itself."""
    return metric_families.reference().lstrip("\n")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def first_line(of: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(of) or "").split("\n", 1)[0]


def sentence(of: object) -> str:
    """A docstring's first paragraph on one line."""
    return " ".join((inspect.getdoc(of) or "").split("\n\n")[0].split())
