"""Requests of a Gradio app that run a function, listen to one, or describe it: these meet the queue.

Runs in web processes."""
