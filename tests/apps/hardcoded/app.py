import gradio as gr

demo = gr.Interface(lambda text: text.upper(), "text", "text", api_name="shout")
demo.queue(concurrency_count=3, max_size=7, api_open=False)
demo.launch(
    server_name="127.0.0.1", server_port=1, share=True, inbrowser=True, max_threads=8, enable_queue=True
)
