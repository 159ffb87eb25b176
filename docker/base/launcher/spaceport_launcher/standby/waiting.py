"""A container that has imported Gradio waits for the next code of its Space:
`python …/spaceport_launcher/__main__.py --wait app.py`. CODE_CAME says that it is there."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from spaceport_launcher import finder, standby
from spaceport_launcher.standby import noticing, preimport

CODE_CAME = signal.SIGUSR1
#: Is there while this process waits and has imported what it can.
READY = Path("/tmp/spaceport-waiting")  # noqa: S108  # the container's own


def wait() -> None:
    """Returns, once there is code, as whose process began for its app. An app that could notice gets a new
    process instead."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {CODE_CAME})
    launcher, _, app_file = sys.argv
    ours, sys.path[:2] = sys.path[:2], [str(Path.cwd())]
    sys.argv[:] = ["app.py"]
    finder.install()
    env = dict(os.environ)
    imported = preimport.for_one()
    READY.touch()
    signal.sigwait({CODE_CAME})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {CODE_CAME})
    READY.unlink()
    if imported.refuses or noticing.reason(Path(app_file).absolute(), env, env, imported.to_json()):
        os.execv(sys.executable, ["python", launcher, app_file])  # noqa: S606  # our own program
    sys.argv[:] = [launcher, app_file]
    sys.orig_argv.remove("--wait")
    sys.path[:1] = ours
    preimport.begin_anew()
    standby.forget()
