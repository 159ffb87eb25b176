"""Several pages: navigation, a page opened by its address, a query.

call /greet ["x"]
open /second?q=7
press "Look"
"""

import gradio as gr

with gr.Blocks() as demo:
    gr.Navbar(main_page_name="Home")
    name, out = gr.Textbox("Ada"), gr.Textbox()
    gr.Button("Greet").click(lambda n: f"hi {n}", name, out, api_name="greet")

with demo.route("Second", "/second"):
    looked = gr.Textbox(label="looked")

    def look(request: gr.Request):
        return "q=" + str(dict(request.query_params).get("q"))

    gr.Button("Look").click(look, None, looked)
    gr.Button("Upper").click(lambda t: t.upper(), looked, looked)

with demo.route("Ünï", "/third-page"):
    gr.Markdown("third")
demo.launch()
