"""An app's file finds itself as `python app.py` runs it: nothing of the launcher is in its names, paths,
errors or processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hardware.runtimes.base_image import LAUNCHER, MAIN

NAMES = """
    "The app's own words."
    import sys
    for name, value in sorted({**globals()}.items()):
        print(name, value)
    print(vars(__loader__), __loader__.get_source("__main__"))
    print(sys.modules["__main__"].__dict__ is globals(), __import__("__main__").__file__)
    """
PROCESS = """
    import sys
    print(sorted({"asyncio", "ssl", "threading", "socket", "subprocess", "signal"} & set(sys.modules)))
    import gc, locale, logging, os, signal, threading, warnings
    print(sys.argv, sys.orig_argv, sys.path, sys.flags, sys.warnoptions, sys.getrecursionlimit())
    print(sorted(os.environ.items()), os.getcwd(), os.listdir())
    print(sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile(), sys.stdin.read())
    print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), gc.get_threshold())
    print(warnings.filters, [t.name for t in threading.enumerate()], threading.main_thread().name)
    print(logging.getLogger().handlers, locale.setlocale(locale.LC_ALL), sys.path_hooks)
    """
FUTURE = """
    import inspect, typing
    def f(x: int, y: "Own" = None) -> list[int]: return 1
    class Own: field: int = 1
    print(f.__annotations__, inspect.signature(f), typing.get_type_hints(f), Own.__annotations__)
    """
OWN_FUTURE = """
    from __future__ import annotations
    def f(x: int): return 1
    print(f.__annotations__)
    """
SOURCE = """
    import inspect, logging, sys, traceback, warnings
    class Own:
        def method(self): return "source"
    def f(x): return lambda: x
    print(*map(inspect.getsource, (f, Own, Own.method, f(1))))
    print(inspect.getsource(sys.modules["__main__"]), inspect.getfile(Own), inspect.getmodule(f))
    logging.basicConfig(format="%(pathname)s %(lineno)d %(funcName)s %(processName)s %(threadName)s")
    logging.warning("logged")
    warnings.warn("warned")
    warnings.warn("deprecated", DeprecationWarning)
    """
PICKLES = """
    import copy, pickle, dataclasses
    @dataclasses.dataclass
    class Own:
        x: int
    def f(x): return x
    print(pickle.loads(pickle.dumps([Own(1), f, Own])), pickle.dumps(Own(2)), copy.deepcopy(Own(3)))
    """
PROCESSES = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    print("imported as", __name__, flush=True)
    class Own:
        def __init__(self, x): self.x = x
    def double(own): return Own(own.x * 2)
    if __name__ == "__main__":
        for method in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            with ProcessPoolExecutor(1, context) as pool:
                print(method, pool.submit(double, Own(4)).result().x, flush=True)
            with context.Pool(1) as pool:
                print(method, pool.map(double, [Own(5)])[0].x, flush=True)
    """
CHILD = """
    import subprocess, sys
    program = "import sys, os; print(sys.path, sorted(os.environ))"
    print(subprocess.check_output([sys.executable, "-c", program]))
    """
ITSELF = """
    import sys
    if __name__ == "__main__":
        import helper
        print(helper.app.__name__, helper.app.value, helper.app is sys.modules["__main__"])
    value = 3
    """
COMPONENTS = """
    import gc, os
    import gradio as gr
    from gradio.events import Events
    class Own(gr.Button):
        EVENTS = [Events.click, "shake"]
    print(gc.isenabled(), open("app.pyi").read(), Own.shake.__doc__)
    os.remove("app.pyi")
    for kind in {k.__name__: k for k in vars(gr).values() if isinstance(k, type)}.values():
        for event in getattr(kind, "EVENTS", []):
            print(kind, event, getattr(kind, str(event)).__doc__)
    try:
        exec("class Hidden(gr.Button):\\n EVENTS = ['click']")
    except Exception as error:
        print(repr(error))
    """
ERRORS = {
    "an error": "def f():\n    raise ValueError('a bug') from KeyError(1)\n\nf()",
    "a wrong word": "x = (\n",
    "a name that is not there": "import nothing_of_this_name",
    "an error of a module": "import broken",
    "an end with a code": "import sys; sys.exit(7)",
    "an end with words": "raise SystemExit('no GPU here')",
    "an interrupt": "raise KeyboardInterrupt",
    "an error of its own kind": "class Own(BaseException): pass\nraise Own('own')",
    "an error in a thread": "from threading import *\nt = Thread(target=iter)\nt.start(); t.join(); exit(2)",
    "a hook of its own": "import sys\nsys.excepthook = lambda *e: print(e[1], e[2].tb_frame.f_code)\n1 / 0",
    "the end of a coroutine": "import asyncio\nasync def f(): raise ValueError\nasyncio.run(f())",
    "a group": "raise ExceptionGroup('two', [ValueError(1), TypeError(2)])",
    "a signal": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "a handler": "import os, signal\nsignal.signal(15, lambda *_: exit(5))\nos.kill(os.getpid(), 15)",
    "what comes last": "import atexit\natexit.register(print, 'last', flush=True)\n1 / 0",
}  # fmt: skip
SCRIPTS = {
    "its names": NAMES, "its process": PROCESS, "annotations": FUTURE, "its own future": OWN_FUTURE,
    "sources": SOURCE, "pickles": PICKLES, "processes of its own": PROCESSES, "another program": CHILD,
    "itself as a module": ITSELF, "components": COMPONENTS,
    "bytes of another code": "# coding: latin-1\nprint('\\xe9')\n",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("import app\n")
    (tmp_path / "broken.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    return tmp_path


def run(folder: Path, *before: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Exit code, output and errors of the app in this folder; `before`: what runs it, but Python itself."""
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, *options, *before, "app.py", "word"], cwd=folder, check=False, text=True,
        env=env | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, re.sub("0x[0-9a-f]+", "…", done.stdout), done.stderr


@pytest.mark.parametrize("kind", SCRIPTS)
def test_an_app_finds_what_it_would_find_without_the_launcher(folder: Path, kind: str) -> None:
    source = textwrap.dedent(SCRIPTS[kind]) + "\nif __name__ == '__main__': exit(4)\n"
    (folder / "app.py").write_bytes(source.encode("latin-1"))
    alone = run(folder)
    assert alone[0] == 4, alone
    assert run(folder, str(LAUNCHER / MAIN)) == alone


@pytest.mark.parametrize("kind", ERRORS)
def test_an_app_ends_as_it_would_without_the_launcher(folder: Path, kind: str) -> None:
    (folder / "app.py").write_text(ERRORS[kind])
    assert run(folder, str(LAUNCHER / MAIN)) == run(folder)


@pytest.mark.parametrize("option", ["-O", "-P", "-Xdev", "-Werror", "-u"])
def test_pythons_own_options_mean_the_same(folder: Path, option: str) -> None:
    (folder / "app.py").write_text(textwrap.dedent(PROCESS) + "\nprint(__debug__)\nexit(4)\n")
    assert run(folder, str(LAUNCHER / MAIN), options=(option,)) == run(folder, options=(option,))


def test_a_link_and_a_folder_below_mean_the_same(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "real.py").write_text("import sys\nprint(sys.path, __file__, sys.argv)\nexit(4)\n")
    (folder / "app.py").symlink_to(folder / "below" / "real.py")
    assert run(folder, str(LAUNCHER / MAIN)) == run(folder)
