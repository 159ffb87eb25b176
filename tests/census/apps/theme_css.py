"""A theme, styles, scripts and tags of one's own.

call /say ["x"]
press "Say"
"""

import gradio as gr

with gr.Blocks(title="Styled", analytics_enabled=False) as demo:
    text, out = gr.Textbox("t", elem_id="in", elem_classes=["one", "two"]), gr.Textbox()
    gr.Button("Say").click(lambda t: t, text, out, api_name="say")
demo.launch(
    theme=gr.themes.Soft(primary_hue="teal"),
    css="#in {border: 2px solid red}",
    head="<meta name='own' content='tag'>",
    js="() => { document.body.dataset.own = 'yes'; }",
)
