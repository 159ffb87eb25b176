"""Python imports this at its start, in every process that the app starts (`spaceport_launcher.children`):
whichever of them serves Gradio finds the platform's rules. Light, for most of them serve nothing."""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

from spaceport_launcher import children, finder

finder.install()
children.hide()

# One of the image's own goes on working.
_paths = [path for path in sys.path if path != children.FOLDER]
_own = PathFinder.find_spec("sitecustomize", _paths)
if _own is not None and _own.loader is not None:
    _own.loader.exec_module(module_from_spec(_own))
