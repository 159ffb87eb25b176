"""A container that has imported Gradio, or imports it yet, waits for the next code of its Space:
`python …/spaceport_launcher/__main__.py --await app.py`. The engine unpacks the code at NEXT, and CAME beside
it as the last file of the same archive."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path

from spaceport_launcher import finder, standby
from spaceport_launcher.standby import noticing, preimport

#: Beside the working folder, in which the import would find the code and run it too early.
NEXT, CAME = Path("/tmp/app"), Path("/tmp/spaceport-code-came")  # noqa: S108  # the container's own
#: A kernel that does not tell of new files is asked this often.
LOOK_EVERY_S = 2.0
SETTLES_S = 0.005


def wait() -> None:
    """Returns, once there is code, as whose process began for its app. An app that could notice gets a new
    process instead."""
    # Before any thread starts: each would get the signal, and end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    launcher, _, app_file = sys.argv
    ours, sys.path[:2] = sys.path[:2], [str(Path.cwd())]
    sys.argv[:] = ["app.py"]
    finder.install()
    env = dict(os.environ)
    imported = preimport.for_one()
    _until_it_came()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    _move(NEXT, Path.cwd())
    CAME.unlink()
    if imported.refuses or noticing.reason(Path(app_file).absolute(), env, env, imported.to_json()):
        os.execv(sys.executable, ["python", launcher, app_file])  # noqa: S606  # our own program
    sys.argv[:] = [launcher, app_file]
    sys.orig_argv.remove("--await")
    sys.path[:1] = ours
    preimport.begin_anew()
    standby.forget()


def _until_it_came() -> None:
    folder = os.open(CAME.parent, os.O_RDONLY)
    with contextlib.suppress(OSError):
        fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_ATTRIB | fcntl.DN_MULTISHOT)
    while not _came():
        # What the engine still does then shows nowhere in this folder, and takes a moment.
        signal.sigtimedwait({signal.SIGIO}, SETTLES_S if CAME.exists() else LOOK_EVERY_S)
    os.close(folder)  # no signal comes any more
    while signal.sigtimedwait({signal.SIGIO}, 0):
        pass


def _came() -> bool:
    """Whether all is complete. Times, all of them 0, are what the engine sets last: a file's after its
    content, those of folders after all files. What moved before would be an error there."""
    try:
        about = CAME.stat()
    except FileNotFoundError:
        return False
    if time.time() - about.st_ctime > LOOK_EVERY_S:
        return True
    return about.st_mtime == 0 and all(Path(folder).stat().st_mtime == 0 for folder, _, _ in os.walk(NEXT))


def _move(source: Path, target: Path) -> None:
    """Into a folder that what was imported may have used. The folder is as old as in the image."""
    about = source.stat()
    for entry in source.iterdir():
        place = target / entry.name
        if entry.is_dir() and not entry.is_symlink() and place.is_dir() and not place.is_symlink():
            _move(entry, place)
        else:
            entry.rename(place)
    source.rmdir()
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
