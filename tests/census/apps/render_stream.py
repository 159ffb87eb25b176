"""A generator among events made while the app runs, and a render that is triggered by hand.

fill "words" "a b"
press "Make"
press "Spell b"
"""

import time

import gradio as gr

with gr.Blocks() as demo:
    words, out = gr.Textbox("x", label="words"), gr.Textbox(label="out")
    make = gr.Button("Make")

    @gr.render(inputs=words, triggers=[make.click])
    def show(text):
        for word in text.split():

            def spell(word=word):
                for end in range(3):
                    time.sleep(0.05)
                    yield f"{word}{end}"

            gr.Button(f"Spell {word}").click(spell, None, out)


demo.launch()
