import gradio as gr

with gr.Blocks() as demo:
    name = gr.Textbox(label="Name")
    greeting = gr.Textbox(label="Greeting")

    def greet(name: str, request: gr.Request) -> str:
        return f"hi {name}, you are {request.username}"

    gr.Button("Greet").click(greet, name, greeting, api_name="predict")
demo.launch(auth=("user", "pass"))
