"""What an owner reads when the app has crashed: the exception first, then the app's own frames."""

from __future__ import annotations

import pytest

from spaces.views.failures import Failure, failure

CRASH = """The app exited with code 1.
Last lines:
Traceback (most recent call last):
  File "/opt/spaceport/spaceport_launcher/__main__.py", line 40, in main
    run(path)
  File "<frozen runpy>", line 291, in run_path
  File "/home/user/app/app.py", line 3, in <module>
    import helper
  File "/home/user/app/helper.py", line 1, in <module>
    import torch
  File "/usr/lib/site-packages/hooks.py", line 9, in find
    raise error
ModuleNotFoundError: No module named 'torch'
"""


def test_the_exception_comes_first_with_the_apps_own_frames() -> None:
    found = failure(CRASH)
    assert found.sentence == "The app exited with code 1."
    assert found.exception == "ModuleNotFoundError: No module named 'torch'"
    assert found.advice == "Add the package that has torch to requirements.txt."
    assert found.frames == (
        '  File "/home/user/app/app.py", line 3, in <module>',
        "    import helper",
        '  File "/home/user/app/helper.py", line 1, in <module>',
        "    import torch",
    )
    assert len(found.lines) == 11


def test_of_several_exceptions_the_last_one_counts_and_a_further_attempt_is_said() -> None:
    chained = CRASH + "\nDuring handling of the above exception, another exception occurred:\n\n"
    chained += 'Traceback (most recent call last):\n  File "/home/user/app/app.py", line 5, in f\n    g()\n'
    found = failure(chained + "app.Bad\nCleaning up.\nIt is started again (attempt 1 of 5).")
    assert found.exception == "app.Bad"
    assert found.frames == ('  File "/home/user/app/app.py", line 5, in f', "    g()")
    assert found.sentence.endswith("It is started again (attempt 1 of 5).")


def test_a_reason_without_a_traceback_stays_as_it_is() -> None:
    assert failure("README.md has no title.") == Failure("README.md has no title.")
    assert failure("") == Failure("")
    assert failure("It ended.\nLast lines:\n  indented\nError: no traceback").exception == ""


@pytest.mark.parametrize(
    ("exception", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "GPU's memory is full"),
        ("MemoryError", "Memory is full"),
        ("OSError: [Errno 98] Address already in use", "only one server"),
        ("ValueError: a bug", ""),
    ],
)
def test_what_is_no_mistake_in_the_code_has_advice(exception: str, advice: str) -> None:
    written = CRASH.replace("ModuleNotFoundError: No module named 'torch'", exception)
    found = failure(written)
    assert found.exception == exception
    assert (advice in found.advice) if advice else not found.advice
