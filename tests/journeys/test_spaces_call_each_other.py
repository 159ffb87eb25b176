"""A Space calls another one by its id, as on the Hub: its `HF_ENDPOINT` is the platform."""

from __future__ import annotations

from pathlib import Path

from gradio_client import Client

from tests.platform_server import APPS, Platform

CALLER = """
import gradio as gr
from gradio_client import Client


def ask(text):
    return "answered: " + Client("alice/is-called").predict(text, api_name="/echo")


gr.Interface(ask, "text", "text", api_name="ask").launch()
"""


def test_a_space_calls_another_by_its_id(process_platform: Platform, tmp_path: Path) -> None:
    token = process_platform.token("alice")
    assert process_platform.push("alice/is-called", token, APPS / "echo") == "RUNNING"
    (tmp_path / "app.py").write_text(CALLER)
    endpoint = [{"key": "HF_ENDPOINT", "value": process_platform.url}]
    assert process_platform.push("alice/calls", token, tmp_path, space_variables=endpoint) == "RUNNING"
    caller = Client(process_platform.run_url("alice/calls"), verbose=False)
    assert caller.predict("hello", api_name="/ask") == "answered: hello"
