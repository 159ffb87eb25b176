"""The launcher's own frames are kept out of tracebacks, so that an app's error reads as it would without it.

On Python 3.10 they are still shown: there a traceback is no longer read from its error when that goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Untraced:
    """`with untraced:` directly in the frame to be left out."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and trace is not None:
            error.__traceback__ = trace.tb_next


untraced = Untraced()
