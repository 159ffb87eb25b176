"""The protocols that visitors' clients use: Gradio's, plain HTTP, and the queue's own websocket.

Runs in web processes. Owns no state but that of one open stream or socket."""
