"""Sound as samples and by its path.

call /reverse [{"file": "audio/recording1.wav"}]
call /rate [{"file": "audio/recording1.wav"}]
call /same [{"file": "audio/cate_blanch.mp3"}]
"""

import gradio as gr


def reverse(sound):
    rate, samples = sound
    return rate, samples[::-1]


with gr.Blocks() as demo:
    samples, path, out = gr.Audio(), gr.Audio(type="filepath"), gr.Audio()
    rate = gr.Number()
    gr.Button("Reverse").click(reverse, samples, out, api_name="reverse")
    gr.Button("Rate").click(lambda sound: sound[0], samples, rate, api_name="rate")
    gr.Button("Same").click(lambda p: p, path, out, api_name="same")
demo.launch()
