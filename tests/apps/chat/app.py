"""The two most usual apps there are: a chat over a plain function, and an interface over a generator."""

import gradio as gr


def answer(message, history):
    return f"you said {message}, after {len(history)}"


def spell(word):
    for end in range(len(word)):
        yield word[: end + 1]


chat = gr.ChatInterface(answer, api_name="chat")
steps = gr.Interface(spell, gr.Textbox(label="Word"), gr.Textbox(label="Letters"), api_name="spell")

gr.TabbedInterface([chat, steps], ["Chat", "Steps"]).launch()
