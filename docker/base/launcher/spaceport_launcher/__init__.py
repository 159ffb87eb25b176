"""Runs a Space's unmodified Gradio app the way the platform needs it.

The platform owns the queue, the address and the thread count; the app's own values for them are kept in a
report and otherwise overruled. Standard library only: Gradio is patched when the app imports it.
"""
