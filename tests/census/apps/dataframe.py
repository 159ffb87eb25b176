"""Tables: pandas, lists, dicts, statistics of one that comes in.

call /make [3]
call /total [{"headers": ["a", "b"], "data": [[1, 2], [3, 4]], "metadata": null}]
press "Make"
"""

import gradio as gr
import pandas as pd


def make(rows):
    return pd.DataFrame({"n": range(int(rows)), "square": [n * n for n in range(int(rows))]})


with gr.Blocks() as demo:
    rows, table, total = gr.Number(4), gr.Dataframe(interactive=True), gr.JSON()
    gr.Button("Make").click(make, rows, table, api_name="make")
    gr.Button("Total").click(lambda t: t.astype(float).sum().to_dict(), table, total, api_name="total")
demo.launch()
