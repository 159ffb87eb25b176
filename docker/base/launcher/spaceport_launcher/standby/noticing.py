"""Whether an app could notice that Gradio was imported before it ran."""

from __future__ import annotations

import re
import sys

from spaceport_launcher.standby import app_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

#: Variables that compiled code reads, or Python at its start.
READ_BY_OTHERS = (
    "(ARROW|GOTO|KMP|LC|LD|MALLOC|MKL|NPY|NUMEXPR|OMP|OPENBLAS|OPENSSL|RUST|TOKIO)_.*|PYTHON.*|LANG.*|TZ.*"
)


def reason(
    app: Path, env: Mapping[str, str], usual_env: Mapping[str, str], imported: Mapping[str, Any]
) -> str:
    """Why the app in this file, with variables `env`, could; "": it cannot. `usual_env`: those that it would
    have if its owner had set none; `imported`: `preimport.Imported.to_json`."""
    before = app_source.before_gradio(app)
    if before is None:
        return "it imports no Gradio, or does more before"
    reads: dict[str, str | None] = imported["reads"]
    moved: set[str] = set(imported["moved"])
    others = re.compile(f"{READ_BY_OTHERS}|{imported['names']}")
    for name in (env.keys() | usual_env.keys() | reads.keys()) - moved:
        usual = reads[name] if name in reads else usual_env.get(name)
        if (name in reads or others.fullmatch(name)) and env.get(name) != usual:
            return f"its variable {name}"
    for name in before.sets:
        if name in reads or name in moved or others.fullmatch(name):
            return f"it sets {name} before it imports Gradio"
    imported_names = set(imported["asked"])
    if foreign := before.imports - imported_names - sys.stdlib_module_names:
        return f"it imports {min(foreign)} before Gradio"
    own = {path.name.partition(".")[0] for path in app.parent.iterdir()}
    if shadows := own & imported_names:
        return f"its own {min(shadows)} comes before the module of this name"
    return ""
