"""Python imports this at its start, in the app's own process and in every one that the app starts: whichever
of them serves Gradio finds the platform's rules. Light, for most of them serve nothing."""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

if "SPACEPORT_MAX_THREADS" in os.environ:
    from spaceport_launcher import finder

    finder.install()

_HERE = str(Path(__file__).resolve().parent)
# One of the image's own goes on working.
_others = PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != _HERE])
if _others is not None and _others.loader is not None:
    _others.loader.exec_module(module_from_spec(_others))
