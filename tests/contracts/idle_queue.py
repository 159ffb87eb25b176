"""Runs in an app's environment, whatever its Gradio: its own queue, by a clock that the test moves. Prints as
JSON how often its loops set an alarm while nobody was there, and whether events ran, and the loops ended once
another thread had closed the queue, although the clock stood."""

# ruff: noqa: E402

import asyncio
import json
import sys
import threading
import time
from typing import Any

sys.path.insert(0, sys.argv[1])

from spaceport_launcher import hooks

hooks.install()

import gradio as gr
from gradio import queueing
from starlette.requests import Request
from starlette.websockets import WebSocket

IDLE_S, STEP_S, PATIENCE_S = 3.0, 0.005, 20.0


class Loop(asyncio.SelectorEventLoop):
    """Its time goes on when it is told to."""

    now = 0.0
    alarms = 0

    def time(self) -> float:
        return self.now

    def call_at(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        self.alarms += 1
        return super().call_at(*args, **kwargs)

    def _run_once(self) -> None:
        self.call_soon(lambda: None)  # never wait for the clock
        super()._run_once()  # type: ignore[misc]


JOIN = f"{getattr(gr.route_utils, 'API_PREFIX', '')}/queue/join"
SCOPE = {"path": JOIN, "headers": [], "query_string": b"", "server": ("here", 80), "client": ("here", 1)}


async def push(queue: Any) -> None:
    """An event of its first function."""
    body = {"fn_index": 0, "data": ["x"], "session_hash": "s"}
    if hasattr(queue, "event_queue"):  # Gradio 3
        said = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": json.dumps(body)}]
        socket = WebSocket({**SCOPE, "type": "websocket", "scheme": "ws"}, Said(said), Said())
        await socket.accept()
        queue.push(queueing.Event(socket, "s", 0))
        return
    from gradio import data_classes

    kind = getattr(data_classes, "PredictBodyInternal", data_classes.PredictBody)
    request = Request({**SCOPE, "type": "http", "method": "POST", "scheme": "http"})
    await queue.push(kind(**body, request=request), request, None)


class Said(list[Any]):
    """A server's side of a connection."""

    async def __call__(self, *sent: Any) -> Any:
        return None if sent else self.pop(0)


async def until(what: Any) -> bool:
    late = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > late:
            return False
        await asyncio.sleep(0)
    return True


async def main(loop: Loop) -> None:
    ran = []

    async def run(text: str) -> str:
        ran.append(text)
        return text

    with gr.Blocks() as demo:
        box = gr.Textbox()
        box.change(run, box, box)
    demo.queue()
    app = gr.routes.App.create_app(demo)
    (getattr(demo, "run_startup_events", None) or demo.startup_events)()
    demo._queue.set_server_app(app)
    loops = asyncio.all_tasks() - {asyncio.current_task()}
    alarms = [await idle(loop)]
    for number in (1, 2):
        await push(demo._queue)
        await until(lambda number=number: len(ran) == number and not any(demo._queue.active_jobs))
        alarms.append(await idle(loop))
    threading.Thread(target=demo._queue.close).start()
    ended = await until(lambda: all(task.done() for task in loops))
    print(json.dumps({"loops": len(loops), "alarms": alarms, "ran": ran, "ended": ended}))


async def idle(loop: Loop) -> int:
    """Alarms set while nobody is there."""
    loop.alarms, end = 0, loop.now + IDLE_S
    while loop.now < end:
        loop.now += STEP_S
        for _ in range(5):
            await asyncio.sleep(0)
    return loop.alarms


event_loop = Loop()
asyncio.set_event_loop(event_loop)
event_loop.run_until_complete(main(event_loop))
