"""Chats over an asynchronous generator.

call /chat ["abc"]
fill placeholder "Type a message..." "hello"
press key Enter
"""

import asyncio

import gradio as gr


async def answer(message, history):
    for letter in message:
        await asyncio.sleep(0.02)
        yield letter


gr.ChatInterface(answer, api_name="chat").launch()
