"""Highlighted text and a difference of two texts.

call /tag ["the cat sat"]
call /diff ["abc", "abd"]
press "Tag"
"""

from difflib import Differ

import gradio as gr


def tag(text):
    return [(word, "NOUN" if word == "cat" else None) for word in text.split()]


def diff(one, two):
    return [(part[2:], part[0] if part[0] != " " else None) for part in Differ().compare(one, two)]


with gr.Blocks() as demo:
    one, two = gr.Textbox("the cat", label="one"), gr.Textbox("the cab", label="two")
    out = gr.HighlightedText(combine_adjacent=True, color_map={"+": "green", "-": "red"})
    gr.Button("Tag").click(tag, one, out, api_name="tag")
    gr.Button("Diff").click(diff, [one, two], out, api_name="diff")
demo.launch()
