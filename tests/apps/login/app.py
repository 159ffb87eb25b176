"""An app that people may sign in to, as Gradio's guide shows it. Written as people write: nothing here knows
Spaceport."""

import gradio as gr


def who(profile: gr.OAuthProfile | None):
    return "stranger" if profile is None else profile.username


def token(token: gr.OAuthToken | None):
    return "no token" if token is None else token.token


def members_only(profile: gr.OAuthProfile):
    return f"hello {profile.name}"


with gr.Blocks() as demo:
    gr.LoginButton()
    name = gr.Textbox(label="Name")
    out = gr.Textbox(label="Out")
    demo.load(who, None, name)
    gr.Button("Who").click(who, None, out, api_name="who")
    gr.Button("Token").click(token, None, out, api_name="token")
    gr.Button("Members").click(members_only, None, out, api_name="members")

demo.launch()
