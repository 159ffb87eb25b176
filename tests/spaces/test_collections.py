"""Collections, by the official client, the `hf` command, and in the browser's pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from huggingface_hub import Collection
from huggingface_hub.errors import HfHubHTTPError

from tests.hub_server import Hub
from tests.spaces.browser import Browser

Make = Callable[..., str]


@pytest.fixture
def collection(hub: Hub) -> Iterator[Collection]:
    """An empty one of alice's."""
    made = hub.api("alice").create_collection("My cool stuff", description="Contains cool stuff")
    yield made
    hub.api("alice").delete_collection(made.slug, missing_ok=True)


def test_a_new_collection(hub: Hub, collection: Collection) -> None:
    assert collection.slug.startswith("alice/my-cool-stuff-")
    assert collection.url == f"{hub.url}/collections/{collection.slug}"
    assert (collection.description, collection.items, collection.private) == (
        "Contains cool stuff",
        [],
        False,
    )
    listed = hub.api("").list_collections(owner="alice")
    assert collection.slug in [one.slug for one in listed]


def test_a_private_collection_is_not_there_for_strangers(hub: Hub) -> None:
    made = hub.api("alice").create_collection("Mine", private=True)
    for who in ("", "charlie"):
        with pytest.raises(HfHubHTTPError, match="There is no collection"):
            hub.api(who).get_collection(made.slug)
        assert made.slug not in [one.slug for one in hub.api(who).list_collections(owner="alice")]
    assert Browser(hub, "charlie").get(f"/collections/{made.slug}").status_code == 404
    hub.api("alice").update_collection_metadata(made.slug, private=False)
    assert hub.api("charlie").get_collection(made.slug).title == "Mine"
    hub.api("alice").delete_collection(made.slug)


def test_with_a_new_title_the_old_address_leads_to_the_new_one(hub: Hub, collection: Collection) -> None:
    api = hub.api("alice")
    changed = api.update_collection_metadata(
        collection.slug, title="Other", description="New", private=True, theme="pink"
    )
    assert (changed.title, changed.description, changed.private, changed.theme) == (
        "Other",
        "New",
        True,
        "pink",
    )
    assert changed.slug.split("-")[-1] == collection.slug.split("-")[-1]
    assert changed.slug != collection.slug
    assert api.get_collection(collection.slug).slug == changed.slug
    assert Browser(hub, "alice").get(f"/collections/{collection.slug}").url.endswith(changed.slug)
    with pytest.raises(HfHubHTTPError, match="theme"):
        api.update_collection_metadata(collection.slug, theme="plaid")


def test_items_are_added_moved_noted_and_removed(hub: Hub, collection: Collection, new_space: Make) -> None:
    api, slug, first, second = hub.api("alice"), collection.slug, new_space(), new_space()
    nested = api.create_collection("Nested").slug
    api.add_collection_item(slug, first, "space", note="Ours")
    api.add_collection_item(slug, second, "space")
    assert api.add_collection_item(slug, nested, "collection").items[-1].item_id == nested
    with pytest.raises(HfHubHTTPError) as refused:
        api.add_collection_item(slug, first, "space")
    assert refused.value.response.status_code == 409
    assert len(api.add_collection_item(slug, first, "space", exists_ok=True).items) == 3
    found = api.get_collection(slug).items
    assert [(one.item_id, one.item_type, one.note) for one in found] == [
        (first, "space", "Ours"),
        (second, "space", None),
        (nested, "collection", None),
    ]
    api.update_collection_item(slug, found[0].item_object_id, note="Changed", position=1)
    found = api.get_collection(slug).items
    assert [(one.item_id, one.note) for one in found[:2]] == [(second, None), (first, "Changed")]
    api.delete_collection_item(slug, found[1].item_object_id)
    api.delete_collection_item(slug, found[1].item_object_id, missing_ok=True)
    assert [one.item_id for one in api.get_collection(slug).items] == [second, nested]
    assert slug in [one.slug for one in api.list_collections(item=f"spaces/{second}")]
    assert slug not in [one.slug for one in api.list_collections(item=f"spaces/{first}")]
    api.delete_collection(nested)
    api.delete_repo(second, repo_type="space")
    assert api.get_collection(slug).items == []


@pytest.mark.parametrize(
    ("item", "kind", "reason"),
    [
        ("alice/never-was", "space", "no space"),
        ("alice/never-0123456789abcdef01234567", "collection", "no collection"),
        ("teknium/model", "model", "no 'model'"),
    ],
)
def test_what_is_not_there_cannot_be_added(
    hub: Hub, collection: Collection, item: str, kind: str, reason: str
) -> None:
    with pytest.raises(HfHubHTTPError, match=reason):
        hub.api("alice").add_collection_item(collection.slug, item, kind)  # type: ignore[arg-type]
    with pytest.raises(HfHubHTTPError, match="itself"):
        hub.api("alice").add_collection_item(collection.slug, collection.slug, "collection")


def test_items_that_a_reader_may_not_see_are_not_shown(
    hub: Hub, collection: Collection, new_space: Make
) -> None:
    hidden, api = new_space(visibility="private"), hub.api("alice")
    api.add_collection_item(collection.slug, hidden, "space")
    assert len(api.get_collection(collection.slug).items) == 1
    assert hub.api("charlie").get_collection(collection.slug).items == []
    assert hidden not in hub.call("GET", f"/collections/{collection.slug}", "charlie").text
    public = hub.api("charlie").create_collection("Charlie's")
    with pytest.raises(HfHubHTTPError, match="no space"):
        hub.api("charlie").add_collection_item(public.slug, hidden, "space")


@pytest.mark.parametrize("who", ["charlie", "alice_read", ""])
def test_only_members_with_write_access_change_it(hub: Hub, collection: Collection, who: str) -> None:
    api = hub.api(who)
    for change in (
        lambda: api.update_collection_metadata(collection.slug, title="Taken"),
        lambda: api.delete_collection(collection.slug),
        lambda: api.add_collection_item(collection.slug, "a/b", "space"),
        lambda: api.create_collection("Not mine", namespace="alice"),
    ):
        with pytest.raises(HfHubHTTPError) as refused:
            change()
        assert refused.value.response.status_code == (403 if who else 401)
    assert hub.api("alice").get_collection(collection.slug).title == "My cool stuff"


def test_long_lists_are_paged_and_show_four_items_each(
    hub: Hub, collection: Collection, new_space: Make
) -> None:
    api = hub.api("alice")
    for _ in range(5):
        api.add_collection_item(collection.slug, new_space(), "space")
    made = [api.create_collection(f"Number {number}").slug for number in range(3)]
    first = hub.call("GET", "/api/collections?owner=alice&limit=2")
    assert len(first.json()) == 2
    assert hub.call("GET", first.links["next"]["url"].removeprefix(hub.url)).json()
    listed = {one.slug: one for one in api.list_collections(owner="alice")}
    assert set(made) <= set(listed)
    assert len(listed[collection.slug].items) == 4
    api.update_collection_metadata(made[0], position=0)
    assert api.get_collection(made[0]).position == 0
    for slug in made:
        api.delete_collection(slug)


def test_by_the_command(hub: Hub, collection: Collection, space: str) -> None:
    added = hub.hf("alice", "collections", "add-item", collection.slug, space, "space")
    assert added.returncode == 0, added.stderr
    shown = hub.hf("", "collections", "info", collection.slug)
    assert space in shown.stdout


def test_in_the_browser(hub: Hub, space: str, new_space: Make) -> None:
    browser, other = Browser(hub, "alice"), new_space()
    made = browser.post("/collections", owner="alice", title="By hand", description="Of a page")
    assert "By hand" in made.text
    assert "By hand" in browser.get("/collections?owner=alice").text
    assert "By hand" not in browser.get("/collections?owner=bob").text
    address = made.url.removeprefix(hub.url)
    browser.post(address, space=space, note="The first")
    page = browser.post(address, space=other)
    assert page.text.index(f'href="/{space}"') < page.text.index(f'href="/{other}"')
    assert "There is no Space" in browser.post(address, space="alice/never-was").text
    key = next(one for one in hub.api("").list_collections(owner="alice") if one.title == "By hand").items[1]
    page = browser.post(address, first=key.item_object_id)
    assert page.text.index(f'href="/{other}"') < page.text.index(f'href="/{space}"')
    assert f'href="/{other}"' not in browser.post(address, remove=key.item_object_id).text
    stranger = Browser(hub, "charlie")
    assert "Add a Space" not in stranger.get(address).text
    assert stranger.post(address, delete="yes").status_code == 404
    assert "Give it a title" in browser.post("/collections", owner="alice", title=" ").text
    browser.post(address, delete="yes")
    assert browser.get(address).status_code == 404
