"""The bodies of the Hub's requests, by the name of the view, as JSON schemas."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def text(most: int = 200) -> Json:
    """A text of at most so many characters."""
    return {"type": "string", "maxLength": most}


def listed(items: Json) -> Json:
    """A list of these."""
    return {"type": "array", "items": items}


def body(*required: str, **properties: Json) -> Json:
    """An object with these properties, some of them required."""
    return {"type": "object", "properties": properties, "required": list(required)}


NUMBER = {"type": "integer"}
FLAG = {"type": "boolean"}
KIND = {"type": "string", "enum": ["space"]}
VISIBILITY = {"type": "string", "enum": ["public", "private"]}
PAIR = body("key", "value", key=text(128), value=text(1000), description=text(300))
VOLUME = body(
    "type",
    "source",
    "mountPath",
    type={"type": "string", "enum": ["bucket"]},
    source=text(),
    mountPath=text(),
    readOnly=FLAG,
)
COPY = {
    "visibility": VISIBILITY,
    "hardware": text(64),
    "sleepTimeSeconds": NUMBER,
    "secrets": listed(PAIR),
    "variables": listed(PAIR),
    "volumes": listed(VOLUME),
}
HOOK = {
    "url": text(2000),
    "watched": listed(
        body("type", "name", type={"type": "string", "enum": ["user", "org", "space"]}, name=text())
    ),
    "domains": listed({"type": "string", "enum": ["repo", "space", "discussion"]}),
    "secret": text(256),
}
COLLECTION = {"title": text(100), "description": text(150), "private": FLAG}

#: Of POST, PUT and DELETE, by the name of the view; the others have none.
BODIES: dict[str, Json] = {
    "repos.create": body(
        "name",
        "type",
        template=text(),
        name=text(),
        type=KIND,
        organization=text(),
        sdk={"type": "string", "enum": ["gradio", "docker", "static"]},
        **COPY,
    ),
    "repos.delete": body("name", name=text(), organization=text(), type=KIND),
    "repos.move": body("fromRepo", "toRepo", "type", fromRepo=text(), toRepo=text(), type=KIND),
    "repos.duplicate": body("repository", repository=text(), **COPY),
    "repos.change_settings": body(visibility=VISIBILITY, gated=FLAG),
    "files.validate_yaml": body("content", content=text(5000)),
    "files.preupload": body(
        "files",
        files=listed(body("path", "size", path=text(), size={**NUMBER, "minimum": 0}, sample=text(1000))),
        gitIgnore=text(1000),
    ),
    # A line each.
    "files.commit": listed(
        body(
            "key",
            "value",
            key={"type": "string", "enum": ["header", "file", "lfsFile", "deletedFile", "deletedFolder"]},
            value=body(
                summary=text(),
                path=text(),
                content=text(1000),
                encoding={"type": "string", "enum": ["base64", "utf-8"]},
                algo={"type": "string", "enum": ["sha256"]},
                oid=text(64),
                size=NUMBER,
            ),
        )
    ),
    "history.branch": body(startingPoint=text()),
    "history.tag": body(tag=text(), message=text(1000)),
    "history.super_squash": body(message=text(1000)),
    "runtime.set_hardware": body("flavor", flavor=text(64), sleepTimeSeconds=NUMBER),
    "runtime.set_sleep_time": body("seconds", seconds=NUMBER),
    "api.replicas": body(
        replicas={**NUMBER, "minimum": 1},
        min_replicas={**NUMBER, "minimum": 1},
        max_replicas={**NUMBER, "minimum": 1},
        goal_p90_s={"type": "number"},
        quiet_s={"type": "number"},
    ),
    "runtime.secrets": PAIR,
    "runtime.variables": PAIR,
    "runtime.get_reload": body("reloadId", reloadId=text(64)),
    "api.of_space": body("volumes", volumes=listed(VOLUME)),
    "api.one": body(visibility={"type": "string", "enum": ["private"]}),
    "api.all_hooks": body("url", "watched", **HOOK),
    "api.one_hook": body(**HOOK),
    "collections_api.every": body("title", namespace=text(96), **COLLECTION),
    "collections_api.one": body(theme=text(20), position=NUMBER, **COLLECTION),
    "collections_api.items": body("item", item=body("id", "type", id=text(), type=text(20)), note=text(500)),
    "collections_api.item": body(note=text(500), position=NUMBER),
    "missing.discussions": body(title=text(), description=text(), pullRequest=FLAG),
}
#: Bodies that are no JSON, by the name of the view: their media type.
OTHER: dict[str, str] = {
    "files.commit": "application/x-ndjson",
    "reading.paths_info": "application/x-www-form-urlencoded",
    "oauth.device": "application/x-www-form-urlencoded",
    "oauth.token": "application/x-www-form-urlencoded",
}
#: What may stand in the query, by the name of the view.
QUERIES: dict[str, tuple[str, ...]] = {
    "listing.listing": (
        "author", "search", "filter", "models", "datasets", "linked", "sort", "direction", "expand", "full",
        "limit", "cursor",
    ),
    "listing.info": ("blobs", "expand"),
    "listing.my_repositories": ("cursor",),
    "reading.tree": ("recursive", "expand", "cursor"),
    "reading.commits": ("p",),
    "reading.refs": ("include_prs",),
    "runtime.restart": ("factory",),
    "files.commit": ("create_pr", "hot_reload"),
    "files.preupload": ("create_pr",),
    "api.listing": ("search",),
    "api.likers": ("limit", "cursor"),
    "api.liked": ("limit", "cursor"),
    "api.members": ("limit", "cursor"),
    "api.search": ("q", "filter", "sdk", "includeNonRunning"),
    "collections_api.every": ("owner", "item", "q", "sort", "limit", "cursor"),
    "missing.discussions": ("type", "status", "author", "p"),
}  # fmt: skip
