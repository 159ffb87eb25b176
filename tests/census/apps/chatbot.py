"""A chat component driven by hand: messages with files, likes, metadata, undo.

call /ask ["hello", []]
call /ask ["again", [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "olleh"}]]
call /thought []
fill "message" "hello"
press "Ask"
"""

import gradio as gr


def ask(message, history):
    return "", [
        *history,
        {"role": "user", "content": message},
        {"role": "assistant", "content": message[::-1]},
    ]


def thought():
    return [gr.ChatMessage(role="assistant", content="because", metadata={"title": "Thinking"})]


with gr.Blocks() as demo:
    chat, message = gr.Chatbot(), gr.Textbox(label="message")
    gr.Button("Ask").click(ask, [message, chat], [message, chat], api_name="ask")
    gr.Button("Thought").click(thought, None, chat, api_name="thought")
    chat.like(lambda data: None, None, None, api_name=False)
demo.launch()
