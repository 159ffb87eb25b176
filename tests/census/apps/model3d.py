"""A three-dimensional model.

call /same [{"file": "models3d/face.obj"}]
"""

import gradio as gr

gr.Interface(lambda path: path, gr.Model3D(), gr.Model3D(), api_name="same").launch()
