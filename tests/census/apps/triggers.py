"""Events other than clicks: change, input, submit, blur, several triggers of one function.

call /length ["abc"]
fill "word" "abcd"
press "Run"
"""

import gradio as gr

with gr.Blocks() as demo:
    word, length = gr.Textbox(label="word"), gr.Number(label="length")
    again, log = gr.Textbox(label="again"), gr.Textbox(label="log")
    run = gr.Button("Run")
    word.change(len, word, length, api_name="length")
    word.input(lambda w: w[::-1], word, again, api_name="again")
    gr.on([run.click, word.submit], lambda w: f"ran {w}", word, log, api_name="run")
demo.launch()
