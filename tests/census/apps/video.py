"""A video by its path.

call /size [{"file": "videos/a.mp4"}]
"""

import os

import gradio as gr

gr.Interface(lambda path: os.path.getsize(path), gr.Video(), "number", api_name="size").launch()
