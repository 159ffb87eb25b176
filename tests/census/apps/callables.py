"""Callables that are no functions: partials, objects, methods, classes, C functions.

call /partial ["x"]
call /object ["x"]
call /aobject ["x"]
call /gobject ["x"]
call /bound ["x"]
call /static ["x"]
call /klass ["x"]
call /builtin ["x"]
call /c ["x"]
press "object"
"""

from functools import partial

import gradio as gr


class Greeter:
    word = "hi"

    def __call__(self, text):
        return f"{self.word} {text}"

    def method(self, text):
        return f"method {self.word} {text}"

    @staticmethod
    def static(text):
        return f"static {text}"

    @classmethod
    def klass(cls, text):
        return f"class {cls.word} {text}"


class Async:
    async def __call__(self, text):
        return f"async {text}"


class Generator:
    def __call__(self, text):
        yield text
        yield text * 2


def join(first, second):
    return first + second


greeter = Greeter()
kinds = {
    "partial": partial(join, "part "),
    "object": greeter,
    "aobject": Async(),
    "gobject": Generator(),
    "bound": greeter.method,
    "static": Greeter.static,
    "klass": Greeter.klass,
    "builtin": len,
    "c": str.upper,
}
with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    for name, function in kinds.items():
        gr.Button(name).click(function, text, out, api_name=name)
demo.launch(show_error=True)
