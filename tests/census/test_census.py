"""Apps of the usual kinds behave as Spaces as they do by themselves (`make census` examines all of them)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.census.compare import judge
from tests.census.script import apps, read
from tests.census.sides import as_space
from tests.platform_server import CACHE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.platform_server import Platform

KEPT = CACHE / "census"
USUAL = (
    "auth",
    "callables",
    "cancels",
    "chains",
    "chat_plain",
    "decorated",
    "errors",
    "generator_interface",
    "multipage",
    "own_server",
    "processes",
    "render",
    "script_facts",
)


@pytest.fixture(scope="module")
def token(process_platform: Platform) -> str:
    return process_platform.token("census")


@pytest.mark.browser
@pytest.mark.parametrize("name", USUAL)
def test_a_space_behaves_as_the_app_by_itself(
    name: str, process_platform: Platform, token: str, chromium: Browser
) -> None:
    verdict = judge(apps()[name], partial(as_space, process_platform, token), chromium, KEPT)

    assert verdict.same, "\n".join(verdict.differences)


@pytest.mark.browser
def test_a_difference_is_found(process_platform: Platform, token: str, chromium: Browser) -> None:
    app = read(
        "differs",
        '"""An app that asks where it runs.\n\ncall /where []\npress "Generate"\n"""\n'
        "import os\n"
        "import gradio as gr\n"
        "where = lambda: str('SPACEPORT_MAX_THREADS' in os.environ)\n"
        "gr.Interface(where, None, 'text', api_name='where').launch()\n",
    )

    verdict = judge(app, partial(as_space, process_platform, token), chromium, KEPT)

    assert not verdict.same
    assert "alone 'False', as a Space 'True'" in verdict.differences[0]


def test_every_app_has_a_script_that_is_understood() -> None:
    assert len(apps()) >= 100
    assert all(app.steps for app in apps().values())
