"""Coroutines and asynchronous generators.

call /echo ["a"]
call /spell ["abc"]
call /fails ["a"]
press "Spell"
"""

import asyncio

import gradio as gr


async def echo(text):
    await asyncio.sleep(0.01)
    return text


async def spell(text):
    for letter in text:
        await asyncio.sleep(0.02)
        yield letter


async def fails(text):
    await asyncio.sleep(0)
    raise gr.Error(f"no {text}")


with gr.Blocks() as demo:
    text, out = gr.Textbox("xyz"), gr.Textbox()
    gr.Button("Echo").click(echo, text, out, api_name="echo")
    gr.Button("Spell").click(spell, text, out, api_name="spell")
    gr.Button("Fails").click(fails, text, out, api_name="fails")
demo.launch()
