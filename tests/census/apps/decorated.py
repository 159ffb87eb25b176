"""Decorators that keep the name: asynchronous over plain, plain over asynchronous, generator over plain.

call /a ["x"]
call /b ["x"]
call /c ["x"]
call /d ["x"]
call /e ["x"]
press "a"
"""

import asyncio
import functools

import gradio as gr


def in_thread(function):
    @functools.wraps(function)
    async def wrapper(*args):
        return await asyncio.to_thread(function, *args)

    return wrapper


def run(function):
    @functools.wraps(function)
    def wrapper(*args):
        return asyncio.run(function(*args))

    return wrapper


def twice(function):
    @functools.wraps(function)
    def wrapper(*args):
        yield function(*args)
        yield function(*args) * 2

    return wrapper


def last(function):
    @functools.wraps(function)
    def wrapper(*args):
        return list(function(*args))[-1]

    return wrapper


def echo(text):
    return f"echo {text}"


async def aecho(text):
    return f"async {text}"


def steps(text):
    yield text
    yield text + "!"


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    kinds = {"a": in_thread(echo), "b": run(aecho), "c": twice(echo), "d": last(steps)}
    kinds["e"] = functools.lru_cache(echo)
    for name, function in kinds.items():
        gr.Button(name).click(function, text, out, api_name=name)
demo.launch(show_error=True)
