"""Two images side by side under a slider.

call /darker [{"file": "images/logo.png"}]
"""

import gradio as gr


def darker(image):
    return image, image // 2


with gr.Blocks() as demo:
    image, out = gr.Image(), gr.ImageSlider(format="png")
    gr.Button("Darker").click(darker, image, out, api_name="darker")
demo.launch()
