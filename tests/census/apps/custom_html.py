"""HTML components with templates and events of their own.

call /set ["b"]
press text "star 2"
"""

import gradio as gr

with gr.Blocks() as demo:
    stars = gr.HTML(
        value=0,
        html_template="<p>${value} of 3</p>"
        + "".join(f"<button class='s' data-n='{n}'>star {n}</button>" for n in (1, 2, 3)),
        js_on_load="element.addEventListener('click', e => { if (e.target.dataset.n) "
        "{ props.value = +e.target.dataset.n; trigger('submit'); } });",
    )
    text, out = gr.Textbox("a"), gr.Textbox(label="out")
    stars.submit(lambda n: f"{n} stars", stars, out)
    gr.Button("Set").click(lambda t: t, text, out, api_name="set")
demo.launch()
