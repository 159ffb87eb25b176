"""Line, bar and scatter plots of a table.

call /line [3]
call /bar [2]
press "Line"
"""

import gradio as gr
import pandas as pd


def table(rows):
    return pd.DataFrame({"x": range(int(rows)), "y": [n * 2 for n in range(int(rows))]})


with gr.Blocks() as demo:
    rows = gr.Number(5)
    line, bar = gr.LinePlot(x="x", y="y", title="line"), gr.BarPlot(x="x", y="y", title="bar")
    gr.ScatterPlot(table(4), x="x", y="y")
    gr.Button("Line").click(table, rows, line, api_name="line")
    gr.Button("Bar").click(table, rows, bar, api_name="bar")
demo.launch()
