"""Endpoints without components: types, defaults, generators, coroutines.

call /types [1, "a", true, [1.5, 2], {"k": 1}]
call /optional []
call /stream [3]
call /later ["x"]
"""

import asyncio
from typing import Optional

import gradio as gr


def types(n: int, s: str, b: bool, many: list[float], table: dict[str, int]) -> dict:
    return {"n": n, "s": s, "b": b, "many": many, "table": table}


def optional(word: Optional[str] = "default") -> str:
    return f"got {word}"


def stream(n: int):
    for i in range(n):
        yield i


async def later(word: str) -> str:
    await asyncio.sleep(0.01)
    return word


with gr.Blocks() as demo:
    for function in (types, optional, stream, later):
        gr.api(function)
demo.launch()
