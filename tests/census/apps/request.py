"""What a function may know of its visitor: query, cookies, session; the address of the app.

call /query []
call /method []
open /?q=7
press "Query"
"""

import gradio as gr


def query(request: gr.Request):
    return dict(request.query_params)


def method(request: gr.Request):
    return {"user": request.username, "session": bool(request.session_hash), "agent": bool(request.headers)}


with gr.Blocks() as demo:
    out = gr.JSON()
    gr.Button("Query").click(query, None, out, api_name="query")
    gr.Button("Method").click(method, None, out, api_name="method")
demo.launch()
