"""Launched without blocking, with more of the script after it.

call /greet ["x"]
"""

import gradio as gr

demo = gr.Interface(lambda name: f"hi {name} {later}", "text", "text", api_name="greet")
demo.launch(prevent_thread_lock=True)
later = "and more"
demo.block_thread()
