"""Long texts, long lists, many outputs.

call /long [200000]
call /list [5000]
call /outputs []
"""

import gradio as gr

with gr.Blocks() as demo:
    n, out, listed = gr.Number(10), gr.Textbox(), gr.JSON()
    many = [gr.Number(label=str(i)) for i in range(40)]
    gr.Button("Long").click(lambda n: "x" * int(n), n, out, api_name="long")
    gr.Button("List").click(lambda n: list(range(int(n))), n, listed, api_name="list")
    gr.Button("Outputs").click(lambda: list(range(40)), None, many, api_name="outputs")
demo.launch()
