"""A gr.Server: endpoints and routes without components.

call /double [4]
call /words [2]
get /hello
"""

import gradio as gr

app = gr.Server()


@app.api()
def double(n: int) -> int:
    return n * 2


@app.api()
def words(n: int):
    for i in range(n):
        yield f"word {i}"


@app.get("/hello")
def hello():
    return {"hello": "world"}


app.launch()
