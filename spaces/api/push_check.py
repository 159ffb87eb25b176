"""git's `pre-receive` hook: the limits and the checks of an upload, for a push. The pusher sees what it
writes (`remote: …`). Run by git, without Django's models."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

from spaces.git.bounds import TooMuch
from spaces.git.objects import Objects
from spaces.git.received import Refused, Update, check, tree_of, updates

TIME_S = 60
MAIN = "main"
#: What git hands its hooks through: the address of the Space's page.
PAGE = "SPACEPORT_SPACE_PAGE"


def main() -> int:
    """Read git's lines; 1, with the reason for the pusher, to refuse."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(TIME_S)
    wanted = updates(sys.stdin.read())
    try:
        check(wanted)
        for update in wanted:
            if update.branch == MAIN:
                _check_main(update)
    except (TooMuch, Refused) as error:
        sys.stderr.write(f"Spaceport does not keep this: {error}\n")
        return 1
    for line in _notes(wanted):
        sys.stderr.write(f"{line}\n")
    return 0


def _check_main(update: Update) -> None:
    if not update.new:
        raise Refused(f"The branch {MAIN} is what the Space runs; it stays.")
    with Objects(os.environ.get("GIT_DIR", ".")) as objects:
        now, before = _readme(objects, update.new), _readme(objects, update.old)
        if not now or now == before:
            return
        # It takes a moment to import, and most pushes change no README.
        from spaces import card
        from spaces.git import repository

        size = objects.sizes([now]).get(now, 0)
        text = objects.content(now) if 0 < size <= repository.READ_BYTES else b""
    try:
        card.parse(text.decode("utf-8", "replace"))
    except card.CardError as error:
        raise Refused(str(error)) from error


def _readme(objects: Objects, commit: str) -> str:
    """The id of a commit's README; "" for none."""
    items = objects.items(tree_of(objects, commit)) if commit else []
    return next((item.oid for item in items if item.name == b"README.md" and not item.is_folder), "")


def _notes(wanted: list[Update]) -> Iterator[str]:
    """What a pusher should know about a push that is kept."""
    for update in wanted:
        if update.branch == MAIN:
            yield f"The Space starts this version: {os.environ.get(PAGE, '')}"
        elif update.branch and update.new:
            yield (
                f"The branch {update.branch} is kept, but only {MAIN} runs. "
                f"To run what you have checked out: git push origin HEAD:{MAIN}"
            )


def _too_long(*_: object) -> None:
    raise TooMuch(f"It could not be looked through in {TIME_S} s; push it in parts.")


if __name__ == "__main__":
    raise SystemExit(main())
