"""Chats over a coroutine.

call /chat ["abc"]
fill placeholder "Type a message..." "hello"
press key Enter
"""

import asyncio

import gradio as gr


async def answer(message, history):
    await asyncio.sleep(0.01)
    return message[::-1]


gr.ChatInterface(answer, api_name="chat").launch()
