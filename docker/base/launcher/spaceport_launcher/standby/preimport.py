"""Gradio imported before it is known for which app, so that no app can notice.

An import may keep what it reads of its environment. So each variable that it reads is noted: an app whose own
differs is started by itself. Variables that differ for every app (paths and a port) get values here that
nothing else has; every place that keeps one is found, and gets the app's own after the fork. The same with
what it draws at random: two apps that share a token could answer for each other. What cannot be changed, and
what is not known, forbids forks.
"""

from __future__ import annotations

import functools
import gc
import importlib
import logging
import os
import random
import secrets
import sys
import threading
import time
import types
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Module that reads the whole environment -> the names of the variables that it uses.
READS_ALL = {"fsspec.config": "FSSPEC.*", "tqdm.utils": "TQDM_.*", "urllib.request": "(?i:.*_proxy)"}
#: Modules that draw random bytes -> why that is no matter.
DRAWS = {
    "gradio.utils": "kept in a file of the environment, for all its apps",
    "multiprocessing.process": "renewed after the fork",
    "numpy.random": "renewed after the fork",
    "opentelemetry.context": "names of its own variables",
}
#: Modules through which others read the environment, or draw.
BETWEEN = {
    __name__, "os", "_collections_abc", "collections.abc", "posixpath", "pathlib", "random", "secrets",
    "uuid", "importlib", "importlib._bootstrap", "importlib._bootstrap_external", "_frozen_importlib",
}  # fmt: skip
LEAVES = (bytes, float, complex, type(None), types.CodeType, types.FrameType, types.BuiltinFunctionType)


@dataclass
class Imported:
    """What the import read, tried to import, and wrote; why it forbids forks ("": it does not). What differs
    for every app: `moved`, folders (one within another before that one), and `port`, names of variables."""

    moved: list[str]
    port: str
    reads: dict[str, str | None] = field(default_factory=dict)
    requested: set[str] = field(default_factory=set)
    output: bytes = b""
    refuses: str = ""
    stand_ins: dict[int, tuple[Any, Any]] = field(default_factory=dict)  # by id: ours, and what it stands for
    tokens: dict[str, Callable[[], str]] = field(default_factory=dict)  # drawn, and what draws another
    _generators: list[random.Random] = field(default_factory=list)
    _setters: list[tuple[Callable[[Any], None], Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What decides whether an app may run in this process, or a fork of it."""
        names = "|".join(READS_ALL.values())
        moved = [*self.moved, self.port] if self.port else self.moved
        return {
            "reads": self.reads, "names": names, "asked": sorted(self.requested), "moved": moved,
            "refuses": self.refuses,
        }  # fmt: skip

    def move(self, before: dict[str, str], after: dict[str, str]) -> None:
        """Give every place the app's own value."""
        pairs = [(before[name], after.get(name, before[name])) for name in self.moved]
        numbers = {before[self.port]: int(after[self.port])}
        drawn = {token: draw() for token, draw in self.tokens.items()}
        for put, value in self._setters:
            if isinstance(value, int):
                put(numbers.get(str(value), os.getpid()))
            else:
                put(drawn[value] if value in drawn else _moved(value, pairs))
        for generator in self._generators:
            generator.seed()
        if (numpy := sys.modules.get("numpy.random")) is not None:
            numpy.seed()
        if (processes := sys.modules.get("multiprocessing.process")) is not None:
            processes.current_process().authkey = os.urandom(32)
        begin_anew()
        if self.output:
            os.write(2, self.output)


def begin_anew() -> None:
    """The process begins now, as far as modules keep when it did."""
    started: Any = logging._startTime  # type: ignore[attr-defined]  # what `relativeCreated` counts from
    logging._startTime = time.time_ns() if isinstance(started, int) else time.time()  # type: ignore[attr-defined]


def for_one() -> Imported:
    """Import it in the process of the app itself."""
    imported = Imported([], "")
    with _noting(imported, draws=False):
        _import(imported)
    return imported


def for_forks(folder: Path, moved: list[str], port: str) -> Imported:
    """Import it as an app would whose paths are in `folder`, and find what it kept."""
    imported = Imported(moved, port)
    with _noting(imported, draws=True):
        _import(imported)
    if imported.refuses:
        return imported
    if threading.active_count() > 1:
        imported.refuses = "a thread was started"
    elif number := next(_shared_descriptors(), None):
        imported.refuses = f"{number} was opened"
    else:
        _find_setters(imported, str(folder))
    imported.output = (folder / "log").read_bytes()
    return imported


def _import(imported: Imported) -> None:
    try:
        importlib.import_module("gradio")
    except Exception as error:  # the app will report it itself
        imported.refuses = f"{type(error).__name__}: {error}"


class _noting:
    """Note which variables are read, which modules are imported, and, with `draws`, what is drawn at random:
    its stand-ins may be kept, and have to be found again."""

    def __init__(self, imported: Imported, *, draws: bool) -> None:
        self._imported, self._draws = imported, draws

    def __enter__(self) -> None:
        stand_ins = self._readers() + (self._drawers() if self._draws else [])
        self._originals = [(place, name, getattr(place, name)) for place, name, _ in stand_ins]
        for (place, name, one), (_, _, original) in zip(stand_ins, self._originals, strict=True):
            setattr(place, name, one)
            self._imported.stand_ins[id(one)] = one, original
        sys.meta_path.insert(0, self)

    def _readers(self) -> list[tuple[Any, str, Any]]:
        kind: Any = type(os.environ)
        get, each, imported = kind.__getitem__, kind.__iter__, self._imported

        def getitem(environ: Any, name: str) -> str:
            if _caller() not in READS_ALL:
                kept = environ._data.get(environ.encodekey(name))
                imported.reads[name] = None if kept is None else environ.decodevalue(kept)
            return str(get(environ, name))

        def iterate(environ: Any) -> Iterator[str]:
            if (caller := _caller()) not in READS_ALL:
                imported.refuses = f"{caller} reads all variables"
            names: Iterator[str] = each(environ)
            return names

        return [(kind, "__getitem__", getitem), (kind, "__iter__", iterate)]

    def _drawers(self) -> list[tuple[Any, str, Any]]:
        urandom, create, imported = os.urandom, random.Random.__init__, self._imported
        drawing: list[bool] = []

        def draw(count: int) -> bytes:
            caller = _caller()
            if not drawing and not caller.startswith(tuple(DRAWS)):
                imported.refuses = f"{caller} draws random bytes"
            return bytes(urandom(count))

        def init(generator: random.Random, seed: Any = None) -> None:
            create(generator, seed)
            if seed is None:
                imported._generators.append(generator)

        def token(draw_token: Callable[..., str], count: int | None = None) -> str:
            drawing.append(True)
            drawn = draw_token(count)
            drawing.pop()
            imported.tokens[drawn] = functools.partial(draw_token, count)
            return drawn

        return [
            (os, "urandom", draw), (random, "_urandom", draw), (random.Random, "__init__", init),
            (secrets, "token_hex", functools.partial(token, secrets.token_hex)),
            (secrets, "token_urlsafe", functools.partial(token, secrets.token_urlsafe)),
        ]  # fmt: skip

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> None:
        """Find nothing."""
        if path is None:
            self._imported.requested.add(name)

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)
        for place, name, original in self._originals:
            setattr(place, name, original)


def _caller() -> str:
    """The module that is now reading the environment, or drawing."""
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None:
        name: str = frame.f_globals.get("__name__", "")
        if name not in BETWEEN:
            return name
        frame = frame.f_back
    return ""


def _shared_descriptors() -> Iterator[str]:
    """What forks would share and change: sockets, pipes, event loops."""
    for number in Path("/proc/self/fd").iterdir():
        try:
            target = str(number.readlink())
        except OSError:
            continue
        if int(number.name) > 2 and target.startswith(("socket:", "pipe:", "anon_inode:")):
            yield target


def _find_setters(imported: Imported, marker: str) -> None:
    """Walk all values that the modules refer to."""
    for path in [path for path in sys.path_importer_cache if marker in path]:
        del sys.path_importer_cache[path]
    fast_path: Any = getattr(sys.modules.get("importlib.metadata"), "FastPath", None)
    if hasattr(fast_path, "__new__") and hasattr(fast_path.__new__, "cache_clear"):
        fast_path.__new__.cache_clear()  # of folders in sys.path
    port, us = os.environ[imported.port], os.getpid()
    environ: Any = os.environ
    skipped = (sys.modules, environ, environ._data, sys.path, sys.argv, sys.orig_argv)
    seen = {id(each) for each in skipped}
    # A tuple: no list of ours may refer to what is walked (`_places_of`).
    level: tuple[Any, ...] = tuple(
        module for module in sys.modules.values() if isinstance(module, types.ModuleType)
    )
    while level:
        following = []
        for holder in level:
            for value in _values_in(holder):
                kind = type(value)
                if kind is int:
                    kept = (str(value) == port and _is_of_gradio(holder)) or (
                        value == us and _is_process_id(holder, value)
                    )
                elif kind is str:
                    kept = marker in value or value in imported.tokens
                elif issubclass(kind, PurePath):
                    kept = marker in str(value)
                elif id(value) in imported.stand_ins:
                    kept = False
                    if (put := _setter(holder, value)) is not None:
                        put(imported.stand_ins[id(value)][1])
                else:
                    kept = False
                    if kind not in LEAVES and id(value) not in seen:
                        seen.add(id(value))
                        following.append(value)
                if kept:
                    put = _setter(holder, value)
                    if put is None:
                        imported.refuses = f"a {type(holder).__name__} keeps {value}"
                        return
                    imported._setters.append((put, value))
        level = tuple(following)


def _values_in(holder: Any) -> list[Any]:
    if isinstance(holder, type):
        return [*vars(holder).values(), *holder.__mro__]
    if type(holder).__name__ == "_NamespacePath":  # follows sys.path by itself
        return []
    return gc.get_referents(holder)


def _is_of_gradio(holder: Any) -> bool:
    return type(holder) is dict and str(holder.get("__name__", "")).startswith("gradio")


def _is_process_id(holder: Any, value: int) -> bool:
    names = vars(holder) if isinstance(holder, type) else holder if type(holder) is dict else {}
    return any(kept is value and isinstance(name, str) and "pid" in name for name, kept in names.items())


def _setter(holder: Any, value: Any) -> Callable[[Any], None] | None:
    """A function that replaces this value in this holder; None: there is none."""
    if isinstance(holder, types.CellType):
        return functools.partial(setattr, holder, "cell_contents")
    if isinstance(holder, tuple):
        functions = [each for each in gc.get_referrers(holder) if isinstance(each, types.FunctionType)]
        if len(functions) == 1 and functions[0].__defaults__ is holder:
            return functools.partial(_put_default, functions[0], holder.index(value))
        places = _places_of(holder) if type(holder) is tuple else []
        return functools.partial(_put_in_tuple, places, holder.index(value)) if places else None
    if isinstance(holder, type):
        names = [name for name, kept in vars(holder).items() if kept is value]
        return functools.partial(_put_attributes, holder, names)
    kept = holder if isinstance(holder, (dict, list)) else getattr(holder, "__dict__", None)
    if kept is None:
        return None
    pairs = enumerate(kept) if isinstance(kept, list) else kept.items()
    keys = [key for key, each in pairs if each is value]
    return functools.partial(_put_items, kept, keys) if keys else None


def _places_of(value: tuple[Any, ...]) -> list[tuple[list[Any], int]]:
    """The lists that this tuple is in, and where; none if anything else refers to it."""
    kinds = (list, dict, types.FunctionType, types.CellType)
    places = []
    for holder in gc.get_referrers(value):  # no comprehension: a cell of that would refer to the tuple
        if type(holder) is list:
            for at, one in enumerate(holder):
                if one is value:
                    places.append((holder, at))
        elif isinstance(holder, kinds):
            return []
    return places


def _put_in_tuple(places: list[tuple[list[Any], int]], index: int, value: Any) -> None:
    for kept, at in places:
        kept[at] = _with(kept[at], index, value)


def _put_default(function: types.FunctionType, index: int, value: Any) -> None:
    function.__defaults__ = _with(function.__defaults__ or (), index, value)


def _with(values: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])


def _put_attributes(kind: type, names: list[str], value: Any) -> None:
    for name in names:
        setattr(kind, name, value)


def _put_items(kept: Any, keys: list[Any], value: Any) -> None:
    for key in keys:
        kept[key] = value


def _moved(value: Any, pairs: list[tuple[str, str]]) -> Any:
    if isinstance(value, PurePath):
        return type(value)(_moved(str(value), pairs))
    for before, after in pairs:
        value = value.replace(before, after)
    return value
