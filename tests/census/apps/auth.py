"""An app behind a password.

call /greet ["x"]
client user pass
call /greet ["x"]
client user wrong
call /greet ["x"]
"""

import gradio as gr

demo = gr.Interface(lambda name: f"hi {name}", "text", "text", api_name="greet")
demo.launch(auth=("user", "pass"))
