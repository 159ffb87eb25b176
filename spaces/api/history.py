"""The Hub's routes that make and delete branches and tags, and squash a history."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from spaces import lifecycle
from spaces.api.hub import HubError, body, hub, ok, segments, signed_in, text, writable
from spaces.git import commits, locks, references
from spaces.git.repository import BRANCH, UnknownRevision


@hub("POST", "DELETE")
def branch(request: HttpRequest, owner: str, name: str, branch: str) -> HttpResponse:
    space = writable(request, owner, name)
    wanted = segments(request, 5)[0]
    if request.method == "DELETE":
        return _done(lambda: references.delete_branch(space.pk, wanted))
    start = text(body(request), "startingPoint", default=BRANCH, most=200)
    return _done(lambda: references.create_branch(space.pk, wanted, start))


@hub("POST", "DELETE")
def tag(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """POST names the revision in the path and the tag in the body; DELETE the tag in the path."""
    space = writable(request, owner, name)
    there = segments(request, 5)[0]
    if request.method == "DELETE":
        return _done(lambda: references.delete_tag(space.pk, there))
    values = body(request)
    wanted = text(values, "tag", most=200)
    message = text(values, "message") if values.get("message") else ""
    user = signed_in(request).user
    assert user is not None
    return _done(
        lambda: references.create_tag(space.pk, wanted, there, message=message, author=user.username)
    )


@hub("POST")
def super_squash(request: HttpRequest, owner: str, name: str, branch: str) -> HttpResponse:
    """One commit in place of a branch's whole history, with the same files."""
    space = writable(request, owner, name)
    wanted = segments(request, 5)[0]
    user = signed_in(request).user
    assert user is not None
    message = text(body(request), "message", default=f"Super-squash branch '{wanted}'", most=10_000)
    answer = _done(lambda: commits.squash(space.pk, wanted, message, author=user.username))
    if wanted == BRANCH:
        lifecycle.pushed(space)
    return answer


def _done(change: Callable[[], None]) -> HttpResponse:
    try:
        change()
    except references.BadName as error:
        raise HubError(400, str(error)) from error
    except references.Exists as error:
        raise HubError(409, str(error)) from error
    except locks.Busy as error:
        raise HubError(412, str(error)) from error
    except (references.Unknown, UnknownRevision) as error:
        raise HubError(404, str(error), "RevisionNotFound") from error
    return ok()
