import random
import re
import time

import gradio as gr

RULES = [
    (r"\bi need (.*)", ["Why do you need {0}?", "Would it really help you to get {0}?"]),
    (r"\bi(?: am|'m) (.*)", ["How long have you been {0}?", "How do you feel about being {0}?"]),
    (r"\bi feel (.*)", ["Tell me more about feeling {0}.", "When do you usually feel {0}?"]),
    (r"\bbecause (.*)", ["Is that the real reason?", "What else could explain it?"]),
    (r"\b(mother|father|sister|brother|family)\b", ["Tell me more about your {0}.", "How do you get along?"]),
    (r"\?$", ["Why do you ask?", "What do you think yourself?"]),
]
ANYTHING = ["Please go on.", "I see. And what does that tell you?", "How does that make you feel?"]
SWAPS = {"i": "you", "my": "your", "me": "you", "am": "are", "you": "I", "your": "my"}


def reflect(text: str) -> str:
    return " ".join(SWAPS.get(word, word) for word in text.lower().rstrip(".!?").split())


def answer(message: str, history: list) -> str:
    """Answer word by word."""
    for pattern, replies in RULES:
        if found := re.search(pattern, message.strip(), re.IGNORECASE):
            reply = random.choice(replies).format(*(reflect(g) for g in found.groups()))
            break
    else:
        reply = random.choice(ANYTHING)
    said = ""
    for word in reply.split():
        said = f"{said} {word}".strip()
        time.sleep(0.12)
        yield said


demo = gr.ChatInterface(answer, title="Eliza", description="Tell me what is on your mind.")

if __name__ == "__main__":
    demo.launch()
