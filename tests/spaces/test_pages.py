"""The pages as a browser asks for them: who sees what, what is refused and where, and what is never shown."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from hardware import logs, nodes, redis_keys
from hardware.models import Node, Replica
from hardware.upkeep import draining
from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.setting_fields import Settings
from spaces import lifecycle, names, publishing
from spaces.community import templates
from spaces.git import commits, repository
from spaces.models import Space, Stage
from spaces.templatetags import space_tags
from tests.people import People
from tests.spaces.events import join
from tests.spaces.pages import GOOD, HTMX, as_, folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db

# --- who sees what ----------------------------------------------------------------------------------


PRIVATE_PATHS = [
    "",
    "/panel",
    "/stage",
    "/files",
    "/files/README.md",
    "/logs",
    "/settings",
    "/settings/figures",
    "/settings/scaling",
]


@pytest.mark.parametrize("path", PRIVATE_PATHS)
def test_a_private_space_does_not_exist_for_strangers(folks: People, path: str) -> None:
    space_of(folks, visibility="private")
    for client in (Client(), as_(folks.charlie)):
        assert client.get(f"/lab/demo{path}").status_code == 404
    assert as_(folks.bob).get(f"/lab/demo{path}").status_code == 200


@pytest.mark.parametrize("path", ["/logs", "/settings", "/settings/figures", "/settings/scaling"])
def test_owner_tabs_are_absent_for_others(folks: People, path: str) -> None:
    space_of(folks)
    for client in (Client(), as_(folks.charlie), as_(folks.reader)):
        assert client.get(f"/lab/demo{path}").status_code == 404
    assert "/lab/demo/settings" not in text_of(as_(folks.reader).get("/lab/demo"))
    assert "/lab/demo/settings" in text_of(as_(folks.bob).get("/lab/demo"))


@pytest.mark.parametrize(
    "path", ["queue", "hardware", "sleep", "visibility", "variables", "secrets", "delete", "action/pause"]
)
def test_strangers_change_nothing(folks: People, path: str) -> None:
    space_of(folks)
    for client in (Client(), as_(folks.charlie), as_(folks.reader)):
        answer = client.post(
            f"/lab/demo/settings/{path}", {**GOOD, "confirm": "lab/demo", "visibility": "private"}
        )
        assert answer.status_code == 404
    space = Space.objects.get(name="demo")
    assert (space.visibility, space.stage) == ("public", Stage.NO_APP_FILE)
    assert queue_settings.effective(space.pk) == Settings()


def test_a_change_without_the_csrf_token_is_refused(folks: People) -> None:
    space = space_of(folks)
    client = Client(enforce_csrf_checks=True)
    client.force_login(folks.alice)
    answer = client.post("/lab/demo/settings/queue", GOOD)
    assert answer.status_code == 403
    assert "send it again" in text_of(answer)
    assert queue_settings.effective(space.pk).concurrency_count == 1


# --- discover ---------------------------------------------------------------------------------------


def test_discover_shows_searches_and_hides(folks: People) -> None:
    space_of(folks, "darkroom")
    space_of(folks, "hidden-darkroom", visibility="private")
    space_of(folks, "other")
    stranger = text_of(Client().get("/?q=lab/darkroom"))
    assert "/lab/darkroom" in stranger
    assert "hidden-darkroom" not in stranger
    assert "/lab/other" not in stranger
    assert "hidden-darkroom" in text_of(as_(folks.alice).get("/?q=darkroom"))
    part = text_of(Client().get("/?q=darkroom", headers={**HTMX, "HX-Target": "cards"}))
    assert "<html" not in part
    assert "/lab/darkroom" in part
    nothing = text_of(Client().get("/", {"q": "<script>x\0"}))
    assert "&lt;script&gt;x" in nothing
    assert "<script>x" not in nothing


def test_the_front_page_says_what_to_do_when_there_is_nothing(folks: People) -> None:
    assert "No Spaces yet" in text_of(Client().get("/"))
    assert "Create your first Space" in text_of(as_(folks.alice).get("/dashboard"))


# --- the Space's page -------------------------------------------------------------------------------


def test_a_running_space_is_framed_with_a_signed_visit(folks: People) -> None:
    space = space_of(folks)
    Space.objects.filter(pk=space.pk).update(stage=Stage.RUNNING)
    answer = Client().get("/lab/demo")
    assert f' src="{names.demo_url(space)}/?__visit=' in text_of(answer)
    assert "/ws/spaces/lab/demo/queue?visit=" in text_of(answer)
    policy = answer["Content-Security-Policy"]
    assert "frame-src http://*.localhost:" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_the_hubs_address_and_other_spellings_lead_to_it(folks: People) -> None:
    space_of(folks)
    assert Client().get("/spaces/lab/demo")["Location"] == "/lab/demo"
    assert Client().get("/Lab/Demo")["Location"] == "/lab/demo"


def test_what_the_hubs_client_prints_leads_to_the_page_it_means(folks: People) -> None:
    space = space_of(folks, files={"a/app.py": b"print(1)\n"})
    for path, target in {
        "tree/main": "/files",
        "tree/main/a": "/files/a",
        "blob/main/a/app.py": "/files/a/app.py",
        f"blob/{space.sha}/a/app.py": f"/files/a/app.py?revision={space.sha}",
        f"commit/{space.sha}": f"/files?revision={space.sha}",
        "commits/main": "/commits",
        "settings": "/settings",
    }.items():
        assert Client().get(f"/spaces/lab/demo/{path}")["Location"] == f"/lab/demo{target}"
        assert as_(folks.alice).get(f"/lab/demo{target}").status_code == 200, target
    assert Client().get("/spaces/lab")["Location"] == "/lab"
    assert Client().get("/favicon.ico")["Location"].endswith(".svg")
    assert Client().get("/lab/demo/files?revision=nothing").status_code == 404


def test_an_older_revision_is_shown_as_it_was(folks: People) -> None:
    space = space_of(folks, files={"app.py": b"first = 1\n"})
    old, changes = space.sha, commits.Changes(space.pk)
    changes.add("app.py", b"second = 2\n")
    changes.commit("Second thoughts", author="alice")
    Space.objects.filter(pk=space.pk).update(sha=repository.head(space))
    assert "second = 2" in text_of(Client().get("/lab/demo/files/app.py"))
    page = text_of(Client().get(f"/lab/demo/files/app.py?revision={old}"))
    assert "first = 1" in page
    assert f"/resolve/{old}/app.py" in page
    assert "Second thoughts" in text_of(Client().get("/lab/demo/commits"))
    assert "Second thoughts" not in text_of(Client().get(f"/lab/demo/commits?revision={old}"))


def test_slashes_at_the_end_lead_home(folks: People) -> None:
    space_of(folks)
    for path in ("/lab/demo", "/lab/demo/files", "/spaces/lab/demo", "/login", "/dashboard", "/lab"):
        assert Client().get(f"{path}/?q=1")["Location"] == f"{path}?q=1"
    assert Client().get("/%2Fevil.example/")["Location"] == "/evil.example", "of the platform, not of others"
    assert Client().get("/lab/demo/nothing/").status_code == 404


def test_an_owners_page_shows_what_its_visitor_may_see(folks: People) -> None:
    assert Client().get("/lab").status_code == 404
    space_of(folks, "hidden", visibility="private")
    assert Client().get("/lab").status_code == 404, "nothing says that there is such an owner"
    space_of(folks)
    assert "/lab/demo" in text_of(Client().get("/Lab"))
    assert "/lab/hidden" not in text_of(Client().get("/lab"))
    assert "/lab/hidden" in text_of(as_(folks.bob).get("/lab"))


def test_why_it_does_not_run_is_told_in_full_to_writers_only(folks: People) -> None:
    space = space_of(folks)
    Space.objects.filter(pk=space.pk).update(
        stage=Stage.RUNTIME_ERROR, stage_reason="KeyError: <b>sesame</b>"
    )
    logs.append("run", space.pk, ["Traceback <script>alert(1)</script>"])
    owner, stranger = text_of(as_(folks.alice).get("/lab/demo")), text_of(Client().get("/lab/demo"))
    assert "KeyError: &lt;b&gt;sesame&lt;/b&gt;" in owner
    assert "Traceback &lt;script&gt;" in owner
    assert "sesame" not in stranger
    assert "Traceback" not in stranger
    assert "Runtime error" in stranger
    logs.forget(space.pk)


def test_unknown_pages_are_404_and_say_so(folks: People) -> None:
    for path in ("/lab/nothing", "/nobody/demo", "/lab/nothing/settings", "/a/b/c/d"):
        answer = Client().get(path)
        assert answer.status_code == 404
        assert "Nothing here" in text_of(answer)


# --- files ------------------------------------------------------------------------------------------


def test_files_are_shown_as_text(folks: People) -> None:
    evil = b"---\ntitle: x\n---\n# Hi\n<script>alert(1)</script> [x](javascript:alert(1)) ![p](http://x.test/p.png)\n"
    files = {
        "README.md": evil,
        "a/deep.py": b"print('<b>')\n",
        "bin": b"\0\1",
        "page.html": b"<script>1</script>",
    }
    space = space_of(folks, files=files)
    assert repository.head(space) == space.sha
    client = Client()
    root = text_of(client.get("/lab/demo/files"))
    assert "<h1>Hi</h1>" in root
    assert "/lab/demo/files/a" in root
    for forbidden in ("<script>alert", 'href="javascript', "<img"):
        assert forbidden not in root
    assert "print(&#x27;&lt;b&gt;&#x27;)" in text_of(client.get("/lab/demo/files/a/deep.py"))
    assert "deep.py" in text_of(client.get("/lab/demo/files/a"))
    assert "This file is no text" in text_of(client.get("/lab/demo/files/bin"))
    assert "&lt;script&gt;1" in text_of(client.get("/lab/demo/files/page.html"))
    for missing in ("nothing", "a/nothing", "../../secret_key", "a/../README.md"):
        assert client.get(f"/lab/demo/files/{missing}").status_code == 404


# --- dashboard, new, console ------------------------------------------------------------------------


def test_the_dashboard_is_ones_own(folks: People) -> None:
    space_of(folks)
    assert "lab/demo" in text_of(as_(folks.bob).get("/dashboard"))
    assert "lab/demo" not in text_of(as_(folks.charlie).get("/dashboard"))
    assert Client().get("/dashboard")["Location"].startswith("/login")


def test_a_new_space_shows_its_push_commands(folks: People) -> None:
    client = as_(folks.alice)
    given = {"owner": "lab", "name": "fresh", "sdk": "gradio", "visibility": "private"}
    made = client.post("/new", given)
    assert made["Location"] == "/lab/fresh", "a reload creates nothing again"
    page = text_of(client.get("/lab/fresh"))
    assert "hf upload --repo-type=space lab/fresh . ." in page
    assert "HF_ENDPOINT=http://testserver" in page
    again = client.post("/new", given)
    assert again.status_code == 422
    assert "lab/fresh exists already" in text_of(again)
    for bad in (
        {"name": "no/slash"},
        {"owner": "charlie"},
        {"sdk": "perl"},
        {"name": ""},
        {"visibility": "?"},
    ):
        answer = client.post("/new", {**given, "name": "two", **bad})
        assert answer.status_code == 422
        assert 'class="error"' in text_of(answer)
    assert Space.objects.count() == 1


def test_a_new_space_begins_with_a_template(folks: People) -> None:
    client = as_(folks.alice)
    given = {"owner": "lab", "name": "greets", "sdk": "docker", "visibility": "private", "template": "hello"}
    assert client.post("/new", given)["Location"] == "/lab/greets"
    made = Space.objects.get(name="greets")
    assert (made.sdk, made.title, made.visibility) == ("gradio", "Greeting card", "private")
    assert made.stage == Stage.BUILDING
    refused = client.post("/new", {**given, "name": "other", "template": "no-such"})
    assert refused.status_code == 422
    assert "no such template" in text_of(refused)


def test_the_console_is_for_administrators(folks: People) -> None:
    space = space_of(folks)
    nodes.register("here", {"cpu": False, "t4": True}, "process")
    act = f"/console/spaces/{space.pk}/pause"
    for client in (Client(), as_(folks.alice)):
        assert client.get("/console").status_code in (302, 404)
        assert client.get("/console/figures").status_code == 404
        assert client.post(act).status_code == 404
    folks.charlie.is_superuser = folks.charlie.is_staff = True
    folks.charlie.save()
    client = as_(folks.charlie)
    page = text_of(client.get("/console"))
    for told in ("lab/demo", "here", "NVIDIA T4", "simulated", "alice", "Nobody waits"):
        assert told in page
    client.post(act)
    space.refresh_from_db()
    assert space.stage == Stage.PAUSED
    assert client.post(f"/console/spaces/{space.pk}/delete").status_code == 404
    assert client.post(f"/console/spaces/{space.pk}/clear").status_code == 302


def test_the_console_drains_and_removes_nodes(folks: People) -> None:
    space = space_of(folks)
    here = nodes.register("here", {"cpu": False}, "process")
    replica = Replica.objects.create(space=space, tier="cpu", spec={}, node=here, state=Replica.State.READY)
    act = f"/console/nodes/{here.pk}"
    assert as_(folks.alice).post(f"{act}/drain").status_code == 404
    folks.charlie.is_superuser = folks.charlie.is_staff = True
    folks.charlie.save()
    client = as_(folks.charlie)
    assert client.post(f"{act}/explode").status_code == 404
    assert "1 Space moves to other nodes." in text_of(client.post(f"{act}/drain", headers=HTMX))
    draining.go_on()
    page = text_of(client.get("/console"))
    assert "draining, 0 of 1 moved" in page
    assert "No other node with CPU hardware is up." in page
    assert "still runs 1 replica" in text_of(client.post(f"{act}/remove", headers=HTMX))
    replica.delete()
    assert "drained" in text_of(client.get("/console/figures"))
    assert "here is removed." in text_of(client.post(f"{act}/remove", follow=True))
    assert not Node.objects.exists()


def test_the_console_shows_what_a_node_runs_its_gpus_and_its_load(folks: People) -> None:
    space = space_of(folks)
    gpu = {"uuid": "GPU-7", "name": "Tesla T4", "memory_bytes": 15 * 1024**3}
    here = nodes.register("here", {"t4": False}, "docker")
    Node.objects.update(devices={"gpus": [gpu], "driver": "550.54"})
    Replica.objects.create(
        space=space, tier="t4", spec={}, node=here, state=Replica.State.READY, devices=["GPU-7"]
    )
    minute = int(time.time()) // 60 - 1
    kept = json.dumps([minute, 1.5, 2 * 1024**3, 0, {"GPU-7": [0.25, 4 * 1024**3]}])
    sync_redis().zadd(redis_keys.load(here.pk), {kept: minute})
    sync_redis().expire(redis_keys.load(here.pk), 60)
    folks.charlie.is_superuser = folks.charlie.is_staff = True
    folks.charlie.save()
    for client in (Client(), as_(folks.alice)):
        assert client.get("/console/node/here").status_code == 404
        assert client.get("/api/nodes/here/load").status_code in (401, 403)
    client = as_(folks.charlie)
    page = text_of(client.get("/console/node/here"))
    for said in ("lab/demo", "Tesla T4", "GPU-7", "550.54", "4 GB of 15 GB", "25 %"):
        assert said in page
    assert client.get("/console/node/here?range=9h").status_code == 404
    chart = client.get("/api/nodes/here/load?range=1h").json()
    assert [value for value in chart["series"]["gpus_busy"] if value is not None] == [0.25]


def test_every_page_answers_while_calls_wait_and_the_console_shows_them(folks: People) -> None:
    space = space_of(folks)
    folks.charlie.is_superuser = folks.charlie.is_staff = True
    folks.charlie.save()
    publishing.withdraw(space)
    lifecycle._move(space, Stage.APP_STARTING)
    event_id = join(space)
    for path in ("/console", "/console/figures"):
        page = text_of(as_(folks.charlie).get(path))
        assert event_id in page
        assert "Nobody waits" not in page
    for path in ("/", "/dashboard", *(f"/lab/demo{tab}" for tab in PRIVATE_PATHS)):
        assert as_(folks.alice).get(path).status_code == 200, path


def test_the_records_pause_restart_and_clear(folks: People) -> None:
    space = space_of(folks)
    folks.charlie.is_superuser = folks.charlie.is_staff = True
    folks.charlie.save()
    client = as_(folks.charlie)
    for action in ("pause", "clear_queue", "restart"):
        client.post("/console/records/spaces/space/", {"action": action, "_selected_action": [space.pk]})
        space.refresh_from_db()
        assert space.stage == (Stage.NO_APP_FILE if action == "restart" else Stage.PAUSED)
    for page in (
        "spaces/space",
        "spaces/build",
        "hardware/node",
        "hardware/replica",
        "queueing/queuesettings",
    ):
        assert client.get(f"/console/records/{page}/").status_code == 200
    assert client.get(f"/console/records/spaces/space/{space.pk}/change/").status_code == 200


def test_what_was_less_than_a_minute_ago_is_just_now() -> None:
    now = timezone.now()
    assert space_tags.ago(now) == "just now"
    assert space_tags.ago(now - timedelta(minutes=61)) == "1\xa0hour, 1\xa0minute ago"


def test_no_address_of_the_platform_hides_the_first_users_spaces() -> None:
    """`make up` makes this user, and the README pushes the first demo under its name."""
    from spaceport.up.bootstrap import FIRST_USER

    for owner in (FIRST_USER, templates.OWNER):
        for path in (f"/{owner}/my-demo", f"/{owner}/my-demo/settings", f"/spaces/{owner}/my-demo"):
            assert resolve(path).kwargs["owner"] == owner, path
