"""A login button: a stranger is a stranger.

press "Who"
"""

from typing import Optional

import gradio as gr


def who(profile: Optional[gr.OAuthProfile]):
    return "stranger" if profile is None else profile.username


with gr.Blocks() as demo:
    name = gr.Textbox(label="name")
    gr.Button("Who").click(who, None, name)
demo.launch()
