"""A password checked by a function, and who signed in.

client ada secret
call /who []
client bob secret
call /who []
"""

import gradio as gr


def who(request: gr.Request):
    return request.username


with gr.Blocks() as demo:
    out = gr.Textbox()
    gr.Button("Who").click(who, None, out, api_name="who")
demo.launch(auth=lambda user, password: user == "ada" and password == "secret", auth_message="Please")
