"""Which functions share a limit, from the launcher's report: the app's own word, so all of it is bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from queueing.groups import MOST_GROUPS, MOST_NAME, Group, in_code, of_app, with_groups
from queueing.protocols.gradio_config import app_from_config
from queueing.routes import MCP, MCP_GROUP, RENDERED, App
from queueing.setting_fields import MOST_CALLS


def config(*functions: dict[str, Any], version: str = "6.31.0") -> App:
    dependencies = [
        {"id": n, "api_name": f"f{n}", "targets": [[n, "click"]], **one} for n, one in enumerate(functions)
    ]
    return app_from_config({"version": version, "protocol": "sse_v3", "dependencies": dependencies})


def report(*functions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "functions": [
            {"id": n, "api_name": f"f{n}", "queue": True, "concurrency_limit": "default", **one}
            for n, one in enumerate(functions)
        ],
        "gate": 1,
        **more,
    }


def lines(app: App) -> list[tuple[str, str]]:
    return [(function.lane, function.group) for function in app.functions]


def test_functions_have_the_groups_that_the_report_names() -> None:
    app = with_groups(config({}, {}, {}), report({"group": "/f0"}, {"group": "gpu"}, {"group": "gpu"}))
    assert lines(app) == [("main", "/f0"), ("main", "gpu"), ("main", "gpu")]
    assert app.gate


def test_what_fires_by_itself_has_a_line_of_its_own_beside_unless_its_code_names_a_group() -> None:
    tick, load, unqueued = {"targets": [[1, "tick"]]}, {"targets": [[1, "load"]]}, {"queue": False}
    app = with_groups(
        config(tick, load, unqueued, {}),
        report({"group": ""}, {"group": "gpu"}, {"group": ""}, {"group": "gpu"}),
    )
    assert lines(app) == [("side", "/f0"), ("main", "gpu"), ("side", "/f2"), ("main", "gpu")]


def test_a_launcher_older_than_groups_has_one() -> None:
    app = with_groups(config({}, {}), report({}, {}, gate=None))
    assert lines(app) == [("main", ""), ("main", "")]
    assert not app.gate
    assert app.group(7, None, {}) == ""


@pytest.mark.parametrize(
    ("version", "groups"), [("3.50.2", ["", ""]), ("4.44.1", ["/f0", "/f1"]), ("6.31.0", ["/f0", "/f1"])]
)
def test_without_a_launcher_each_function_is_a_group_from_gradio_4_on(
    version: str, groups: list[str]
) -> None:
    app = with_groups(config({}, {}, version=version), {})
    assert [group for _, group in lines(app)] == groups
    assert [one.name for one in of_app(app)] == [name for name in groups if name]


def test_functions_that_a_page_makes_later_are_together() -> None:
    app = with_groups(config({}), report({"group": "/f0"}))
    assert app.group(99, None, {}) == RENDERED
    assert app.group(-1, None, {}) == "", "a queued path"


def test_an_mcp_request_joins_its_tools_function() -> None:
    app = with_groups(config({}), report({"group": "/f0", "tool": "demo_work"}))
    asked = {"mcp": {"method": "tools/call", "params": {"name": "demo_work"}}}
    assert app.group(MCP, None, asked) == "/f0"
    for other in ({"mcp": {"params": {"name": ""}}}, {"mcp": [asked["mcp"]]}, {"mcp": None}, {}):
        assert app.group(MCP, None, other) == MCP_GROUP


def test_a_report_about_another_function_of_that_number_says_nothing() -> None:
    """Several apps in one server: the report is the last one's."""
    app = with_groups(config({}), report({"group": "/other", "api_name": "other"}))
    assert lines(app) == [("main", "")]


def test_groups_of_several_apps_in_one_server_are_told_apart_by_where_those_lie() -> None:
    further = report({"group": "/b /f0", "concurrency_limit": 2}, {"group": ""})["functions"]
    first = report({"group": "/f0"})
    beside = structs.replace(config({}, {"queue": False}), mount="/b", number=1)
    app = with_groups(beside, {**first, "functions": further})
    assert lines(app) == [("main", "/b /f0"), ("side", "/b /f1")]
    found = in_code({**first, "further": {"/b": further}})
    assert [(group.name, group.limit) for group in found] == [("/f0", "default"), ("/b /f0", 2)]
    (group, *_) = lines(with_groups(beside, {}))
    assert group == ("main", "/b /f0"), "the same without a launcher"


def test_the_lowest_number_of_a_concurrency_id_is_its_limit_and_one_that_gives_none_lowers_nothing() -> None:
    limits: list[list[Any]] = [[2, "default"], [3, 2, None], [None, "default"], ["default"], [0, True, "x"]]
    functions = [
        {"group": f"g{n}", "concurrency_limit": limit} for n, given in enumerate(limits) for limit in given
    ]
    assert [group.limit for group in in_code(report(*functions))] == [2, 2, None, "default", "default"]


def test_a_huge_number_is_the_most_there_may_be() -> None:
    (group,) = in_code(report({"group": "g", "concurrency_limit": 10**30}))
    assert group == Group("g", MOST_CALLS, ("/f0",))


def test_no_report_makes_more_groups_or_longer_names_than_there_may_be() -> None:
    many = [{"group": f"{n}" * 1000} for n in range(MOST_GROUPS + 100)]
    app = with_groups(config(*[{}] * len(many)), report(*many))
    names = {function.group for function in app.functions}
    assert len(names) == MOST_GROUPS + 1
    assert RENDERED in names, "the app itself limits those beyond"
    assert max(map(len, names)) <= MOST_NAME
    assert len(in_code(report(*many))) == MOST_GROUPS


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["id", "api_name", "group", "tool", "queue", "concurrency_limit", "functions",
        "gate"]), inner, max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip


@given(anything, anything)
def test_no_report_whatever_it_holds_is_an_error(functions: Any, gate: Any) -> None:
    app = with_groups(config({}, {}), {"functions": functions, "gate": gate})
    for function in app.functions:
        assert isinstance(function.group, str)
        assert function.group.isprintable()
        assert structs.asdict(function)["lane"] in ("main", "side")
    in_code({"functions": functions, "gate": gate})
