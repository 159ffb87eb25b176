"""Front matter of every kind, good and hostile: a card or a CardError, in little time."""

from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spaces import card
from spaces.card import CardError

KEYS = st.sampled_from(
    ["sdk", "app_file", "app_port", "title", "emoji", "python_version", "base_path", "tags"]
)
TEXT = st.text(alphabet=st.sampled_from("ab1 .:-/\n\0é🚀"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def readme(front: str) -> str:
    return f"---\n{front}\n---\n# Hello"


def test_what_the_hub_writes_is_understood() -> None:
    found = card.parse(
        readme(
            "title: Ünï 🚀\nemoji: 🚀\nsdk: docker\napp_port: 8080\npython_version: 3.10\nown: {a: [1, x]}"
        )
    )
    assert (found.title, found.emoji, found.sdk, found.app_port) == ("Ünï 🚀", "🚀", "docker", 8080)
    assert found.python_version == "3.10"
    assert found.raw["own"] == {"a": [1, "x"]}


def test_names_of_headers_have_no_case() -> None:
    found = card.parse(readme("custom_headers:\n  Cross-Origin-Opener-Policy: same-origin"))
    assert card.custom_headers(found.raw) == (("cross-origin-opener-policy", "same-origin"),)


def test_queued_paths_are_read() -> None:
    found = card.parse(readme('sdk: docker\nqueued_paths: [/, /predict, /v1/models/*, /é/x:run/, "/*"]'))
    assert found.queued_paths == ("/", "/predict", "/v1/models/*", "/é/x:run/", "/*")


def test_a_health_path_is_read() -> None:
    assert card.parse(readme("sdk: docker\nhealth_path: /api/healthz")).health_path == "/api/healthz"
    assert card.parse(readme("sdk: docker")).health_path == ""


@pytest.mark.parametrize(
    "value", ["healthz", "/a?b", "/../x", "//x", "/a b", "[/a]", "/a*", "5", "/é", "/%41"]
)
def test_a_health_path_that_is_none_is_refused_with_its_line(value: str) -> None:
    with pytest.raises(CardError, match="line 3: health_path is a path like /healthz"):
        card.parse(readme(f"sdk: docker\nhealth_path: {json.dumps(value) if value[0] == '/' else value}"))


@pytest.mark.parametrize("sdk", ["gradio", "static"])
def test_a_health_path_is_of_docker_spaces(sdk: str) -> None:
    with pytest.raises(CardError, match="of Docker Spaces only"):
        card.parse(readme(f"sdk: {sdk}\nhealth_path: /healthz"))


def test_a_quoted_port_is_a_port() -> None:
    assert card.parse(readme('sdk: docker\napp_port: "8501"')).app_port == 8501


def test_a_card_in_utf_16_is_refused_with_its_line() -> None:
    text = readme("sdk: static").encode("utf-16").decode("utf-8", "replace")
    with pytest.raises(CardError, match="line 1: the file is UTF-16"):
        card.parse(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30m", 1800), ("1h", 3600), ("90s", 90), ("45", 45), ("", 0), ("1000000000m", card.MOST_STARTUP_S)],
)
def test_a_start_may_take_as_long_as_the_card_says(value: str, seconds: int) -> None:
    assert card.parse(readme(f"startup_duration_timeout: {value}")).startup_s == seconds


def test_what_to_preload_is_read() -> None:
    front = "preload_from_hub:\n  - gpt2\n  - org/model  config.json,sub/weights.bin  main"
    assert card.parse(readme(front)).preload == ("gpt2", "org/model config.json,sub/weights.bin main")


@pytest.mark.parametrize(
    "text", ["", "# Title", "text\n---\nsdk: gradio\n---", "---\n---\n", "---\n# only a comment\n---"]
)
def test_without_front_matter_the_card_is_empty(text: str) -> None:
    assert card.parse(text).raw == {}


@pytest.mark.parametrize("text", ["---\r\nsdk: static\r\n---\r\n", "\ufeff---\nsdk: static\n---"])
def test_windows_files_are_read(text: str) -> None:
    assert card.parse(text).sdk == "static"


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ("sdk: docker\nqueued_paths: /predict", "line 3: queued_paths is a list of paths"),
        ("sdk: docker\nqueued_paths: [1]", "line 3: queued_paths is a list of paths"),
        ("sdk: docker\nqueued_paths:\n  - predict", "line 3: queued_paths has 'predict', but a path begins"),
        ("sdk: docker\nqueued_paths: [/a//b]", "'/a//b'"),
        ("sdk: docker\nqueued_paths: [/a/../b]", "'/a/../b'"),
        ("sdk: docker\nqueued_paths: ['/a?b=1']", "no query"),
        ("sdk: docker\nqueued_paths: [/a%20b]", "no % codes"),
        ('sdk: docker\nqueued_paths: ["/a/*/b"]', "may end with '/*'"),
        ("sdk: docker\nqueued_paths: [/_queue/x]", "the platform's own"),
        ("sdk: docker\nqueued_paths: [/a, /a]", "names a path twice"),
        (f"sdk: docker\nqueued_paths: {[f'/p{n}' for n in range(51)]}", "at most 50"),
        ("sdk: gradio\nqueued_paths: [/a]", "Docker Spaces only"),
        ("sdk: gradio\ntitle: [", "line 3"),
        ("title: a\nsdk: streamlit", "line 3: sdk is 'streamlit', but can be gradio, docker, static"),
        ("app_port: 0", "line 2: app_port is a number from 1 to 65535"),
        ("app_port: http", "app_port is a number"),
        ("app_file: ../x.py", "line 2: app_file is a path inside the repository"),
        ("app_file: .git/config", "app_file is a path inside the repository"),
        ("startup_duration_timeout: soon", "line 2: startup_duration_timeout is a time like 30m"),
        ("startup_duration_timeout: 0m", "startup_duration_timeout is a time like 30m"),
        ("preload_from_hub: {a: 1}", "line 2: preload_from_hub is a list of repositories"),
        ("preload_from_hub: ['gpt2; rm -rf /']", "preload_from_hub is a list"),
        ('preload_from_hub: ["gpt2\\nRUN x"]', "preload_from_hub is a list"),
        ('preload_from_hub: ["-c x"]', "preload_from_hub is a list"),
        ("a: &x 1\nb: *x", "line 3: aliases"),
        ("sdk: docker\ntitle:\tTabbed", "line 3: a tab stands where YAML wants spaces"),
        ("custom_headers:\n  set-cookie: a=b", "line 2: custom_headers may set these only: cross-origin"),
        ("custom_headers:\n  cross-origin-opener-policy: [same-origin]", "line 2: custom_headers may set"),
        ("custom_headers: same-origin", "line 2: custom_headers may set"),
        ("a: " + "[" * 30 + "]" * 30, "more than 20 levels"),
        ("- a", "key: value"),
        ("x: " + "y" * 17_000, "at most 16,384 bytes"),
    ],
)
def test_what_is_wrong_is_told(front: str, reason: str) -> None:
    with pytest.raises(CardError, match=r"^README\.md") as error:
        card.parse(readme(front))
    assert reason in str(error.value)
    assert len(str(error.value)) < 500


def test_an_open_front_matter_is_an_error() -> None:
    with pytest.raises(CardError, match="no second '---'"):
        card.parse("---\nsdk: gradio\n")


@pytest.mark.parametrize("unit", ["[", "{a: ", "- ", "? ", "!!x ", "&a ", "a:\n "])
def test_hostile_nesting_takes_no_time(unit: str) -> None:
    began = time.process_time()
    with pytest.raises(CardError):
        card.parse(readme("a: " + unit * (14_000 // len(unit))))
    assert time.process_time() - began < 2


def outcome(text: str) -> str:
    """The parsed card as JSON, or the error's message."""
    try:
        return json.dumps(card.parse(text).raw, allow_nan=False)
    except CardError as error:
        return str(error)


FUZZ = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_mapping_is_a_card_or_a_card_error(front: dict[str, object]) -> None:
    found = outcome(readme(yaml.safe_dump(front, allow_unicode=True)))
    assert found.startswith(("{", "README.md"))
    assert "\\u0000" not in found


@FUZZ
@given(st.text(alphabet=st.sampled_from("ab-:[]{}&*!|>'\"%@`#?, \n\t\\0\0é\ud800~<="), max_size=80))
def test_any_text_is_a_card_or_a_card_error(front: str) -> None:
    found = outcome(readme(front))
    assert found.startswith(("{", "README.md"))
    assert "\\u0000" not in found
