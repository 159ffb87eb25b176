import time

import gradio as gr

LINES = {
    "warm": "so glad you are here",
    "formal": "it is an honour to receive you",
    "pirate": "arr, welcome aboard",
}


def greet(name: str, mood: str) -> str:
    """Write a greeting card."""
    if not name.strip():
        raise gr.Error("Please tell me your name first.")
    time.sleep(1)  # good lettering takes a moment
    line = f"{name.strip()}, {LINES[mood]}!"
    bar = "─" * (len(line) + 2)
    return f"┌{bar}┐\n│ {line} │\n└{bar}┘"


demo = gr.Interface(
    greet,
    [gr.Textbox(label="Name"), gr.Radio(list(LINES), value="warm", label="Mood")],
    gr.Textbox(label="Card", lines=3),
    title="Greeting card",
    api_name="greet",
)

if __name__ == "__main__":
    demo.launch()
