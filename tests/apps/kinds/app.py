"""A function of every kind, with all that a function can be given, do and give back."""

import asyncio
import contextvars
import threading
import time
from functools import partial

import gradio as gr
import tqdm
from functions import FUNCTIONS, around_coroutine, async_generator, coroutine, generator, plain
from gradio.context import LocalContext

mine = contextvars.ContextVar("mine", default="unset")
WHILE_S = 0.5  # so long that progress is told, on a busy machine too
MESSAGES = {"type": "messages"} if gr.__version__.startswith("5.") else {}


def fails(kind):
    async def fails_later(text):
        await asyncio.sleep(0)
        raise kind(text)

    def fails_at_once(text):
        raise kind(text)

    def fails_in_the_middle(text):
        yield text
        raise kind(text)

    async def fails_in_the_middle_later(text):
        yield text
        raise kind(text)

    return fails_at_once, fails_later, fails_in_the_middle, fails_in_the_middle_later


class Own(BaseException):
    """Gradio does not catch it: its own queue never ends the call."""


def tells(text):
    gr.Info(f"info {text}", duration=2)
    gr.Warning(f"warning {text}", title="Careful")
    return text


async def tells_later(text):
    gr.Info(f"info {text}")
    return text


def tells_each(text):
    for n in range(2):
        gr.Info(f"info {n}")
        yield f"{text} {n}"


def request(text, request: gr.Request):
    names = ("host", "x-forwarded-host", "cookie", "user-agent", "x-own")
    headers = {name: request.headers.get(name) for name in names}
    more = dict(request.query_params), request.username, request.url.path, request.client.host
    return f"{headers} {more}"


async def request_later(text, request: gr.Request):
    return f"{request.headers['host']} {request.session_hash is not None}"


def request_each(text, request: gr.Request):
    yield request.headers["host"]
    yield str(request.session_hash is not None)


def picked(text, event: gr.SelectData):
    return f"{event.index} {event.value} {event.selected} {type(event.target).__name__}"


async def any_event(event: gr.EventData, text):
    return f"{text} {event._data}"


def steps(text, progress=gr.Progress()):
    progress(0.5, desc="half")
    time.sleep(WHILE_S)
    return text


async def steps_later(text, progress=gr.Progress()):
    for _ in progress.tqdm(range(3), desc="later"):
        await asyncio.sleep(WHILE_S / 3)
    return text


def steps_each(text, progress=gr.Progress()):
    for n in progress.tqdm(range(3)):
        yield f"{text} {n}"
        time.sleep(WHILE_S / 3)


def tracked(text, progress=gr.Progress(track_tqdm=True)):
    for _ in tqdm.tqdm(range(3), desc="tracked"):
        time.sleep(WHILE_S / 3)
    return text


async def tracked_later(text, progress=gr.Progress(track_tqdm=True)):
    for _ in tqdm.tqdm(range(3), desc="tracked"):
        await asyncio.sleep(WHILE_S / 3)
    return text


def tracked_each(text, progress=gr.Progress(track_tqdm=True)):
    for n in tqdm.tqdm(range(3)):
        time.sleep(WHILE_S / 3)
        yield f"{text} {n}"


def everything(
    text, request: gr.Request, event: gr.EventData, progress=gr.Progress(track_tqdm=True), more="x"
):
    return f"{text} {more} {request.headers['host']} {type(event).__name__} {type(progress).__name__}"


def batch(texts):
    return [[f"{text} of {len(texts)}" for text in texts]]


async def batch_later(texts):
    return [[f"{text} of {len(texts)}" for text in texts]]


def count(seen, text):
    return (seen or 0) + 1, f"{text} {(seen or 0) + 1}"


def count_each(seen, text):
    for n in range(1, 3):
        yield (seen or 0) + n, f"{text} {(seen or 0) + n}"


def local():
    return [
        LocalContext.blocks.get() is demo,
        LocalContext.in_event_listener.get(),
        bool(LocalContext.event_id.get()),
    ]


def around_us(text):
    """What is set around a function: contexts, threads, tasks."""
    before, task = mine.get(), None
    mine.set("set")
    try:
        task = asyncio.current_task()
    except RuntimeError as error:
        task = str(error)
    return f"{before} {task} {local()} {threading.current_thread() is threading.main_thread()}"


async def around_us_later(text):
    before = mine.get()
    mine.set("set")
    return f"{before} {asyncio.current_task() is not None} {local()}"


def calls_another(text):
    return demo(text, api_name="plain") + demo(text, api_name="coroutine")


async def calls_another_later(text):
    function = next(f for f in demo.fns.values() if f.api_name == "plain")
    output = await demo.process_api(function, [text], state=None)
    steps = next(f for f in demo.fns.values() if f.api_name == "generator")
    first = await demo.process_api(steps, [text], state=None)
    return f"{output['data']} {first['data']}"


class Inside:
    """How many are in these functions at once, and how many there have been at most."""

    now = most = 0

    def __enter__(self):
        Inside.now += 1
        Inside.most = max(Inside.most, Inside.now)

    def __exit__(self, *_):
        Inside.now -= 1


def busy_plain(text):
    with Inside():
        calls_another(text)
        time.sleep(0.05)
        return str(Inside.most)


@around_coroutine
def busy_in_disguise(text):
    with Inside():
        return str(Inside.most)


async def busy_coroutine(text):
    with Inside():
        await calls_another_later(text)
        await asyncio.sleep(0.05)
        return str(Inside.most)


def busy_generator(text):
    with Inside():
        for _ in range(3):
            time.sleep(0.02)
            yield str(Inside.most)


async def busy_async_generator(text):
    with Inside():
        for _ in range(3):
            await asyncio.sleep(0.02)
            yield str(Inside.most)


BUSY = (busy_plain, busy_in_disguise, busy_coroutine, busy_generator, busy_async_generator)


def typed(word: str, times: int = 2) -> list[str]:
    return [word] * times


async def typed_later(word: str) -> str:
    return word


def chats(message, history):
    return f"{len(history)} {message}"


async def chats_later(message, history):
    return f"{len(history)} {message}"


def chats_each(message, history):
    for n in range(2):
        yield f"{n} {message}"


async def chats_each_later(message, history):
    for n in range(2):
        yield f"{n} {message}"


def chats_more(message, history, tone, request: gr.Request):
    return f"{message} {tone} {request.headers['host']}", tone.upper()


ERRORS = (gr.Error, ValueError, StopIteration, StopAsyncIteration, asyncio.TimeoutError)
UNCAUGHT = ("uncaught", "uncaught_later", "uncaught_each", "uncaught_each_later")
ONE = {
    **FUNCTIONS,
    **{f"{kind.__name__}_{f.__name__}": f for kind in ERRORS for f in fails(kind)},
    **{f.__name__: f for f in (
        *BUSY, tells, tells_later, tells_each, request, request_later, request_each, steps, steps_later,
        steps_each, tracked, tracked_later, tracked_each, everything, around_us, around_us_later,
        calls_another, calls_another_later,
    )},
    "skips": lambda text: gr.skip(),
    "updates": lambda text: gr.update(value=text, visible=False),
    "component": lambda text: gr.Textbox(text, label="Other"),
    "too_many": lambda text: (text, text),
    "nothing": lambda text: None,
    "wrong_inputs": lambda: "none wanted",
    "number": lambda text: 3.5,
}  # fmt: skip

with gr.Blocks() as demo:
    text, out, other = gr.Textbox("x"), gr.Textbox(), gr.Textbox()
    seen, names = gr.State(0), gr.Dropdown(["a", "b"], label="Names")
    for name, function in ONE.items():
        gr.Button(name).click(function, text, out, api_name=name)
    names.select(picked, text, out, api_name="picked")
    gr.Button().click(any_event, text, out, api_name="any_event")
    for name, function in zip(UNCAUGHT, fails(Own), strict=True):
        gr.Button().click(function, text, out, api_name=name)
    gr.Button().click(batch, text, out, api_name="batch", batch=True, max_batch_size=4)
    gr.Button().click(batch_later, text, out, api_name="batch_later", batch=True, max_batch_size=4)
    gr.Button().click(count, [seen, text], [seen, out], api_name="count")
    gr.Button().click(count_each, [seen, text], [seen, out], api_name="count_each")
    gr.Button().click(
        lambda given: {out: given[text], other: gr.skip()}, {text, seen}, [out, other], api_name="dicts"
    )
    gr.Button().click(lambda: None, None, None, api_name="no_outputs")
    gr.Button().click(len, text, gr.Number(), api_name="a_number")
    gr.on([text.submit, gr.Button().click], plain, text, out, api_name="on").then(
        coroutine, text, out, api_name="then"
    ).success(generator, text, out, api_name="success").failure(plain, text, out, api_name="failure")
    gr.ClearButton([text, out])
    gr.Timer(60).tick(plain, text, out, api_name="tick")
    gr.Textbox(lambda: "again", every=60)
    gr.Textbox(plain, inputs=text)
    gr.api(typed)
    gr.api(typed_later)
    demo.load(generator, text, out, api_name="load")
    examples = partial(gr.Examples, [["one"], ["two"]], text, out)
    examples(plain, cache_examples=True, api_name="cached_examples")
    examples(generator, cache_examples=True, cache_mode="lazy", api_name="lazy_examples")
    examples(coroutine, cache_examples=False, run_on_click=True, api_name="run_examples")
    with gr.Tab("Interfaces"):
        for function in (plain, coroutine, generator, async_generator):
            name = f"interface_{function.__name__}"
            gr.Interface(function, "text", "text", api_name=name, flagging_mode="manual")
        gr.Interface(plain, "text", "text", live=True, flagging_mode="never", api_name="interface_live")
        gr.Interface(plain, "text", "text", clear_btn=None, flagging_mode="never", api_name="interface_bare")
        gr.Interface(batch, "text", "text", batch=True, api_name="interface_batch")
    with gr.Tab("Chats"):
        for function, more in (
            (chats, {"examples": ["hi"], "editable": True, "flagging_mode": "manual"}),
            (chats_later, {}),
            (chats_each, {"examples": ["hi"], "cache_examples": True, "save_history": True}),
            (chats_each_later, {"multimodal": True}),
            (chats_more, {"additional_inputs": gr.Textbox("loud"), "additional_outputs": gr.Textbox()}),
        ):
            gr.ChatInterface(function, api_name=function.__name__, **more, **MESSAGES)

demo.launch(show_error=True)
