"""Which line an event made later joins is the app's word: only a group that its report named is believed."""

from __future__ import annotations

import pytest

from queueing.routes import RENDERED, App, Function
from spaces.gateway.gradio.made import known_group

FIRST = App(grouped=True, functions=(Function(id=0, group="/alone"), Function(id=1, group="pair")))
SECOND = App(mount="/b", number=1, grouped=True, functions=(Function(id=0, group="/b /alone"),))
OLDER = App(functions=(Function(id=0, group="/alone"),))


@pytest.mark.parametrize(
    ("app", "said", "group"),
    [
        (FIRST, "pair", "pair"),
        (FIRST, "/alone", "/alone"),
        (FIRST, "~7", RENDERED),
        (FIRST, "", RENDERED),
        (FIRST, "of another Space", RENDERED),
        (SECOND, "/b /alone", "/b /alone"),
        (SECOND, "/alone", RENDERED),
        (OLDER, "/alone", ""),  # its launcher knows no groups
    ],
)
def test_a_group_is_believed_where_the_space_has_it(app: App, said: str, group: str) -> None:
    assert known_group(app, said) == group


def test_the_apps_of_one_server_share_their_groups() -> None:
    assert known_group(App(grouped=True, mounted=(SECOND,)), "/b /alone") == "/b /alone"
