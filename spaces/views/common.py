"""Finding the Space a page is about. Absent and forbidden are the same 404."""

from __future__ import annotations

from django.http import Http404, HttpRequest

from accounts import access
from spaces import permissions
from spaces.models import Space


def readable(request: HttpRequest, owner: str, name: str) -> Space:
    """The Space, if this visitor may see it.

    Raises:
        Http404
    """
    space = permissions.readable(request.user, owner, name)
    if space is None:
        raise Http404("There is no such Space, or you may not see it.")
    return space


def writable(request: HttpRequest, owner: str, name: str) -> Space:
    """The Space, if this visitor may change it.

    Raises:
        Http404: for everybody else, as if the page did not exist.
    """
    space = readable(request, owner, name)
    if not is_writer(request, space):
        raise Http404("There is no such page, or you may not see it.")
    return space


def is_writer(request: HttpRequest, space: Space) -> bool:
    """Whether this visitor may change the Space: which tabs there are."""
    return access.can_write(request.user, space.owner_id)
