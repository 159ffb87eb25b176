import gradio as gr

with gr.Blocks() as demo:
    gr.Navbar(main_page_name="Home")
    name = gr.Textbox(label="Name")
    greeting = gr.Textbox(label="Greeting")
    gr.Button("Greet").click(lambda x: f"hi {x}", name, greeting, api_name="greet")

with demo.route("Second", "/second"):
    asked = gr.Textbox(label="Asked")

    def look(request: gr.Request) -> str:
        return f"{dict(request.query_params)}"

    gr.Button("Look").click(look, None, asked)
    loud = gr.Textbox(label="Loud")
    gr.Button("Upper").click(lambda x: x.upper(), asked, loud)

with demo.route("Ünï", "/dritte-seite"):
    gr.Button("nothing")
demo.launch()
