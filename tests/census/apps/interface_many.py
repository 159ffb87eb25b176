"""An Interface with several inputs and outputs, a title, an article, examples.

call /predict ["Ada", true, 3]
press "Submit"
press "Clear"
"""

import gradio as gr


def describe(name, is_morning, degrees):
    word = "Good morning" if is_morning else "Good evening"
    return f"{word} {name}. It is {degrees:g} degrees", round((degrees - 32) * 5 / 9, 2)


gr.Interface(
    describe,
    [gr.Textbox("Bob", label="name"), "checkbox", gr.Slider(0, 100, 50)],
    ["text", "number"],
    title="Weather",
    description="**Describe**",
    article="Below",
    examples=[["Ada", True, 20], ["Bob", False, 70]],
).launch()
