"""Launched under a guard, with arguments that a Space ignores.

call /greet ["x"]
"""

import gradio as gr

demo = gr.Interface(lambda name: f"hi {name}", "text", "text", api_name="greet")

if __name__ == "__main__":
    demo.queue(max_size=10).launch(share=False, inbrowser=False, debug=False, quiet=True)
