"""A replica's environment, and the description of its end for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.runtimes.base import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hardware.runtimes.base import ReplicaSpec

KIBI = 1024


def launcher_environment(
    spec: ReplicaSpec, *, host: str, port: int, home: str, tmp: str, cache: str = ""
) -> dict[str, str]:
    """The Space's variables and secrets, and over them what the platform and the launcher need. `home` and
    `tmp` are empty where the image sets them; `cache` is the folder for downloads.

    `SYSTEM=spaces` is never set: it makes Gradio close its API and clients talk to another hub.
    """
    ours = {
        "PYTHONUNBUFFERED": "1",
        "GRADIO_SERVER_NAME": host,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SSR_MODE": "False",
        "GRADIO_SHARE": "False",
        "GRADIO_DEFAULT_CONCURRENCY_LIMIT": "none",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Only the platform reaches this port, so its headers about the visitor can be trusted.
        "FORWARDED_ALLOW_IPS": "*",
        "SPACEPORT_MAX_THREADS": str(spec.max_threads),
    }
    given = {name: value for name, value in spec.env.items() if name != "SYSTEM"}
    if authors := given.get("GRADIO_DEFAULT_CONCURRENCY_LIMIT"):
        ours["SPACEPORT_DEFAULT_CONCURRENCY_LIMIT"] = authors
    if home:
        ours["HOME"] = home
    if not tmp:
        return {**given, **ours}
    usual = {"MPLCONFIGDIR": f"{tmp}/matplotlib", "HF_HOME": f"{cache}/huggingface"}
    folders = {
        "TMPDIR": tmp,
        "GRADIO_TEMP_DIR": f"{tmp}/gradio",
        "GRADIO_EXAMPLES_CACHE": f"{tmp}/examples",
    }
    return {**usual, **given, **ours, **folders}


def size(count: int) -> str:
    """Bytes for people: "4 GB", "512 MB"."""
    for unit in ("B", "KB", "MB"):
        if count < KIBI:
            return f"{count:.0f} {unit}"
        count = count // KIBI if count % KIBI == 0 else round(count / KIBI)
    return f"{count} GB"


def describe_exit(
    code: int | None,
    *,
    out_of_memory: bool,
    memory_limit_bytes: int,
    last_lines: Iterable[str],
    memory_peak_bytes: int = 0,
    stopped_for: str = "",
) -> Exit:
    """The exit with its reason in a sentence, then the last lines the app wrote."""
    if stopped_for:
        reason = stopped_for
    elif out_of_memory:
        reason = (
            f"The app ran out of memory (limit {size(memory_limit_bytes)}). "
            "Use less, or choose larger hardware in the Space's settings."
        )
    elif code is None:
        reason = "The app is gone: its machine or container engine stopped it."
    elif code == 0:
        reason = (
            "The app ended by itself (exit code 0). It has to keep serving: end the file with demo.launch()."
        )
    elif code < 0 or code > 128:  # how shells and engines encode signals
        reason = f"The app was killed by signal {-code if code < 0 else code - 128} (exit code {code})."
    else:
        reason = f"The app exited with code {code}."
    lines = [line for line in last_lines if line.strip()][-20:]
    return Exit(
        code=code,
        reason="\n".join([reason, *(["Last lines:", *lines] if lines else [])]),
        out_of_memory=out_of_memory and not stopped_for,
        memory_limit_bytes=memory_limit_bytes,
        memory_peak_bytes=memory_peak_bytes,
    )
