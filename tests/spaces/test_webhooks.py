"""Webhooks by the official client: made, changed, told what happens, signed, tried again, never internal."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from huggingface_hub import HfApi, WebhookInfo, WebhookPayload
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from infra import outbound
from tests.hub_server import Hub
from tests.spaces.browser import Browser
from tests.spaces.receiver import Receiver, receiver

Make = Callable[..., str]

DELIVER = "import django; django.setup(); from spaces.webhooks import deliveries; deliveries.deliver()"


@pytest.fixture
def api(hub: Hub) -> Iterator[HfApi]:
    api = hub.api("alice")
    yield api
    for hook in api.list_webhooks():
        api.delete_webhook(hook.id)


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def watch(api: HfApi, there: Receiver, space: str, **more: Any) -> WebhookInfo:
    more = {"domains": ["repo", "space"], **more}
    return api.create_webhook(url=there.url, watched=[{"type": "space", "name": space}], **more)


def upload(api: HfApi, space: str, path: str, content: bytes) -> str:
    done = api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=space, repo_type="space")
    return str(done.oid)


def deliveries(hub: Hub, hook: WebhookInfo) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub.call(
        "GET", f"/api/settings/webhooks/{hook.id}/deliveries", "alice"
    ).json()
    return found


def due(hub: Hub, hook: WebhookInfo) -> None:
    """Time passes: what is to be tried again is due now."""
    update = (
        "update spaces_webhookdelivery set next_try_at = now() where webhook_id = %s and next_try_at > now()"
    )
    hub.sql(update, int(hook.id))


def test_webhooks_are_made_listed_changed_switched_and_deleted(hub: Hub, api: HfApi, space: str) -> None:
    url = "https://example.org/hook"
    made = api.create_webhook(url=url, watched=[{"type": "space", "name": space}], secret="s3cret")
    assert (made.url, made.domains, made.secret, made.disabled) == (
        url,
        ["repo", "discussion"],
        "s3cret",
        False,
    )
    assert [(one.type, one.name) for one in made.watched] == [("space", space)]
    assert api.list_webhooks() == [made]
    assert api.get_webhook(made.id) == made
    changed = api.update_webhook(
        made.id, url=f"{url}2", watched=[{"type": "org", "name": "LAB"}], domains=["repo"]
    )
    assert (changed.url, changed.domains, changed.watched[0].name) == (f"{url}2", ["repo"], "lab")
    assert changed.secret == "s3cret"
    assert api.disable_webhook(made.id).disabled
    assert not api.enable_webhook(made.id).disabled
    listed = json.loads(hub.hf("alice", "webhooks", "ls", "--format", "json").stdout)
    assert [one["id"] for one in listed] == [made.id]
    for call in (api.get_webhook, api.delete_webhook, api.disable_webhook):
        with pytest.raises(HfHubHTTPError, match="no webhook"):
            getattr(hub.api("bob"), call.__name__)(made.id)
    api.delete_webhook(made.id)
    assert api.list_webhooks() == []


def test_the_command_makes_one(hub: Hub, api: HfApi, space: str) -> None:
    command = ("webhooks", "create", "--url", "https://example.org/x", "--watch", f"space:{space}")
    assert hub.hf("alice", *command, "--secret", "x", "--domain", "repo").returncode == 0
    [made] = api.list_webhooks()
    assert (made.domains, made.watched[0].name) == (["repo"], space)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "ftp://example.org"}, "is no address"),
        ({"url": "https://a:b@example.org/"}, "no user name"),
        ({"url": "http://exa mple.org/"}, "is no address"),
        ({"url": "x" * 3000}, "is no address"),
        ({"watched": []}, "name 1 to 50"),
        ({"watched": [{"type": "model", "name": "gpt2"}]}, "type"),
        ({"watched": [{"type": "space", "name": "alice/nothing"}]}, "no Space"),
        ({"watched": [{"type": "user", "name": "nobody"}]}, "no user"),
        ({"domains": ["everything"]}, "domains can be"),
        ({"secret": "a\r\nX-Evil: 1"}, "control characters"),
        ({"secret": "ü"}, "ASCII"),
    ],
)
def test_what_no_webhook_can_be_is_refused(api: HfApi, space: str, change: Any, words: str) -> None:
    given = {"url": "https://example.org", "watched": [{"type": "space", "name": space}], **change}
    with pytest.raises(BadRequestError, match=words):
        api.create_webhook(**given)
    with pytest.raises(BadRequestError, match="no Jobs"):
        api.create_webhook(job_id="1", watched=[{"type": "space", "name": space}])


def test_a_push_is_told_as_the_hub_tells_it(hub: Hub, api: HfApi, space: str, there: Receiver) -> None:
    hook = watch(api, there, space, secret="s3cret")
    before = api.space_info(space).sha
    sha = upload(api, space, "README.md", b"---\nsdk: static\ntags: [fish]\n---\n")
    hub.python(DELIVER)
    assert there.scopes() == ["repo.content update", "space.stage update"]
    told = WebhookPayload(**there.events()[0])
    assert (told.repo.name, told.repo.type, told.webhook.id) == (space, "space", hook.id)
    assert told.updatedRefs is not None
    assert [(ref.ref, ref.oldSha, ref.newSha) for ref in told.updatedRefs] == [
        ("refs/heads/main", before, sha)
    ]
    assert there.events()[0]["repo"]["headSha"] == sha
    assert there.events()[0]["repo"]["tags"] == ["static", "fish"]
    assert there.events()[1]["runtime"]["stage"] == "RUNNING"
    headers, body = there.got[0]
    assert headers["X-Webhook-Secret"] == "s3cret"
    expected = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert [(one["status"], one["answer"]) for one in deliveries(hub, hook)] == [(200, "thanks")] * 2


def test_only_what_is_watched_is_told(hub: Hub, api: HfApi, new_space: Make, there: Receiver) -> None:
    space, other = new_space(), new_space()
    watch(api, there, space, domains=["repo"])
    upload(api, other, "a", b"1")
    upload(api, space, "README.md", b"---\nsdk: static\n---\n")
    hub.python(DELIVER)
    assert there.scopes() == ["repo.content update"]
    assert "X-Webhook-Secret" not in there.got[0][0]


def test_an_owners_whole_life_is_told(hub: Hub, api: HfApi, new_space: Make, there: Receiver) -> None:
    api.create_webhook(url=there.url, watched=[{"type": "user", "name": "bob"}], domains=["repo"])
    space = new_space("bob")
    bob = hub.api("bob")
    bob.move_repo(space, f"{space}-b", repo_type="space")
    bob.delete_repo(f"{space}-b", repo_type="space")
    hub.python(DELIVER)
    assert there.scopes() == ["repo create", "repo move", "repo delete"]
    moved = WebhookPayload(**there.events()[1])
    assert moved.movedTo is not None
    assert moved.movedTo.name == f"{space}-b"


def test_a_watched_space_stays_watched_when_it_moves(
    hub: Hub, api: HfApi, space: str, there: Receiver
) -> None:
    hook = watch(api, there, space, domains=["repo"])
    api.move_repo(space, f"{space}-b", repo_type="space")
    assert api.get_webhook(hook.id).watched[0].name == f"{space}-b"
    upload(api, f"{space}-b", "a", b"1")
    hub.python(DELIVER)
    assert there.scopes() == ["repo move", "repo.content update"]


def test_who_may_not_see_a_space_hears_nothing_of_it(
    hub: Hub, api: HfApi, new_space: Make, there: Receiver
) -> None:
    space = new_space(owner="lab")
    charlie = hub.api("charlie")
    hook = charlie.create_webhook(url=there.url, watched=[{"type": "org", "name": "lab"}])
    api.update_repo_settings(space, repo_type="space", visibility="private")
    upload(api, space, "a", b"1")
    hub.python(DELIVER)
    assert there.got == []
    charlie.delete_webhook(hook.id)


def test_reasons_that_may_quote_the_app_are_for_writers(
    hub: Hub, api: HfApi, space: str, there: Receiver
) -> None:
    hook = watch(api, there, space, domains=["space"])
    with receiver() as theirs:
        charlie = hub.api("charlie")
        other = watch(charlie, theirs, space, domains=["space"])
        hub.call("POST", f"/api/spaces/{space}/pause", "alice")
        hub.call("POST", f"/api/spaces/{space}/restart", "alice")
        hub.python(DELIVER)
        charlie.delete_webhook(other.id)
    assert "There is no app.py" in there.events()[-1]["runtime"]["errorMessage"]
    assert theirs.scopes() == there.scopes()
    assert all("errorMessage" not in one["runtime"] for one in theirs.events())
    api.delete_webhook(hook.id)


def test_what_fails_is_tried_again_with_growing_pauses(
    hub: Hub, api: HfApi, space: str, there: Receiver
) -> None:
    hook = watch(api, there, space, domains=["repo"])
    there.answers = [500] * 5
    upload(api, space, "a", b"1")
    hub.python(DELIVER)
    hub.python(DELIVER)
    assert len(there.got) == 1  # it is not due yet
    [one] = deliveries(hub, hook)
    assert (one["status"], one["attempts"], one["nextTryAt"] is not None) == (500, 1, True)
    pauses = []
    for _ in range(5):
        pause = "extract(epoch from next_try_at - tried_at)"
        row = hub.sql(f"select {pause} from spaces_webhookdelivery where webhook_id = %s", int(hook.id))  # noqa: S608
        pauses.append(round(float(row[0][0])))
        due(hub, hook)
        hub.python(DELIVER)
    assert pauses == [10, 60, 300, 1800, 7200]
    [one] = deliveries(hub, hook)
    assert (one["status"], one["attempts"], one["nextTryAt"]) == (200, 6, None)


def test_what_is_never_taken_is_given_up_and_shown(hub: Hub, api: HfApi, space: str, there: Receiver) -> None:
    hook = watch(api, there, space, domains=["repo"])
    there.answers, there.body = [404] * 10, b"x" * 100_000
    upload(api, space, "a", b"1")
    for _ in range(8):
        hub.python(DELIVER)
        due(hub, hook)
    assert len(there.got) == 6
    [one] = deliveries(hub, hook)
    assert (one["status"], one["nextTryAt"], one["answer"]) == (404, None, "x" * 2000)


def test_redirects_are_not_followed(hub: Hub, api: HfApi, space: str, there: Receiver) -> None:
    with receiver() as elsewhere:
        hook = watch(api, there, space, domains=["repo"])
        there.answers, there.location = [307], elsewhere.url
        upload(api, space, "a", b"1")
        hub.python(DELIVER)
        assert (len(there.got), elsewhere.got) == (1, [])
    assert deliveries(hub, hook)[0]["status"] == 307


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "127.1"],  # noqa: S104
)
def test_internal_addresses_are_not_connected_to(hub: Hub, api: HfApi, space: str, host: str) -> None:
    with receiver("0.0.0.0") as inside:  # noqa: S104
        url = f"http://{host}:{inside.port}/hook"
        hook = api.create_webhook(url=url, watched=[{"type": "space", "name": space}], domains=["repo"])
        upload(api, space, "a", b"1")
        hub.python(DELIVER)
        assert inside.got == []
    [one] = deliveries(hub, hook)
    assert "internal address" in one["answer"] or one["status"] is None
    assert one["status"] is None


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.1.1", False),
        ("192.168.1.1", False),
        ("fe80::1%1", False),
        ("fd00::1", False),
        ("::", False),
        ("224.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_only_public_addresses_are_connected_to(host: str, may: bool) -> None:
    assert outbound.may_reach(host, 443, []) is may


def test_the_operator_opens_networks_and_ports() -> None:
    assert outbound.may_reach("10.1.2.3", 443, ["10.1.2.0/24:443"])
    assert not outbound.may_reach("10.1.2.3", 80, ["10.1.2.0/24:443"])
    assert outbound.may_reach("10.1.2.3", 80, ["10.1.2.0/24"])


def test_a_receiver_that_never_takes_anything_is_disabled(
    hub: Hub, api: HfApi, space: str, there: Receiver
) -> None:
    hook = watch(api, there, space, domains=["repo"])
    hub.sql(
        "update spaces_webhook set url = 'http://127.0.0.1:1/', failures = 19 where id = %s", int(hook.id)
    )
    upload(api, space, "a", b"1")
    hub.python(DELIVER)
    assert api.get_webhook(hook.id).disabled
    assert not api.enable_webhook(hook.id).disabled
    upload(api, space, "a", b"2")
    hub.python(DELIVER)
    assert not api.get_webhook(hook.id).disabled  # it counts from the start


def test_the_page_makes_shows_and_sends_again(hub: Hub, api: HfApi, space: str, there: Receiver) -> None:
    browser = Browser(hub, "alice")
    assert f'value="{space}"' in browser.get(f"/settings/webhooks?watched={space}").text
    refused = browser.post("/settings/webhooks", url=there.url, watched="alice/nothing", domains="repo")
    assert (refused.status_code, "There is no Space" in refused.text) == (422, True)
    browser.post("/settings/webhooks", url=there.url, watched=space, domains="repo")
    [hook] = api.list_webhooks()
    upload(api, space, "a", b"1")
    hub.python(DELIVER)
    page = browser.get("/settings/webhooks").text
    assert "repo.content" in page
    assert "thanks" in page
    [one] = deliveries(hub, hook)
    browser.post(f"/settings/webhooks/again/{one['id']}")
    hub.python(DELIVER)
    assert len(there.got) == 2
    assert Browser(hub, "bob").post(f"/settings/webhooks/again/{one['id']}").status_code == 404
    assert Browser(hub, "bob").post(f"/settings/webhooks/{hook.id}/delete").status_code == 404
    browser.post(f"/settings/webhooks/{hook.id}/delete")
    assert api.list_webhooks() == []


def test_a_full_queue_is_told_once_in_ten_minutes(hub: Hub, api: HfApi, space: str, there: Receiver) -> None:
    watch(api, there, space)
    (space_id,) = hub.sql("select id from spaces_space where name = %s", space.split("/")[1])[0]
    fill = (
        "import django; django.setup(); from queueing.models import QueueMinute; "
        "from django.utils import timezone; from datetime import timedelta; "
        "from spaces.webhooks import events; "
        "now = timezone.now().replace(minute=5, second=0, microsecond=0); "
        f"[QueueMinute.objects.create(space_id={space_id}, minute=now + timedelta(minutes=n), full=n + 1) "
        "for n in range(2)]; "
        "[events.full_queues(now) for _ in range(3)]"
    )
    hub.python(fill)
    hub.python(DELIVER)
    assert there.scopes() == ["space.queue update"]
    assert there.events()[0]["queue"]["refused"] == 1


def test_a_reading_token_changes_no_webhooks(hub: Hub, space: str) -> None:
    reading = hub.api("alice_read")
    assert reading.list_webhooks() == []
    with pytest.raises(HfHubHTTPError, match="may only read"):
        reading.create_webhook(url="https://example.org", watched=[{"type": "space", "name": space}])
