"""`python -m spaceport_launcher app.py`: stage the code in a writable folder, patch, run."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

from spaceport_launcher import hooks, staging


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python -m spaceport_launcher APP_FILE")
    folder = staging.stage()
    os.chdir(folder)
    app_file = Path(sys.argv[1])
    if not app_file.is_file():
        sys.exit(f"There is no file {app_file} in this Space.")
    # What `python app.py` would see: no trace of the launcher.
    sys.argv = [str(app_file), *sys.argv[2:]]
    sys.path[0] = str((folder / app_file).parent)
    hooks.install()
    module = types.ModuleType("__main__")
    module.__file__ = str(folder / app_file)
    module.__builtins__ = __builtins__
    # Kept for good: what runs in threads after the script ends still finds its globals there.
    sys.modules["__main__"] = module
    code = compile(app_file.read_bytes(), module.__file__, "exec")
    exec(code, module.__dict__)  # noqa: S102  # running the Space's own code is the purpose
    if not hooks.launched():
        demo = hooks.find_demo(module.__dict__)
        if demo is None:
            sys.exit(
                f"{app_file} ended without launching anything. "
                "Call demo.launch(), or name your gr.Blocks or gr.Interface `demo`."
            )
        demo.launch()


main()
