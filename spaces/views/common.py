"""Finding the Space a page is about. Absent and forbidden are the same 404."""

from __future__ import annotations

from urllib.parse import quote

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.deprecation import MiddlewareMixin

from accounts import access
from accounts.models import Membership, Owner
from spaces import permissions
from spaces.models import Space


class Moved(Exception):
    """The page is at another address now; `old` and `new` are what the two begin with."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__(new)
        self.old, self.new = old, new


class FollowMoves(MiddlewareMixin):
    """Leads from the pages of a Space that was moved to where they are now."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, Moved):
            return None
        rest = quote(request.path.removeprefix(error.old))
        query = request.META.get("QUERY_STRING", "")
        return redirect(f"{error.new}{rest}" + (f"?{query}" if query else ""))


def readable(request: HttpRequest, owner: str, name: str) -> Space:
    """The Space, if this visitor may see it.

    Raises:
        Http404
        Moved: a page is opened under a name that the Space had before.
    """
    space = permissions.readable(request.user, owner, name)
    if space is None:
        raise Http404("There is no such Space, or you may not see it.")
    if f"{owner}/{name}".lower() != str(space).lower() and request.method in {"GET", "HEAD"}:
        raise Moved(f"/{owner}/{name}", f"/{space}")
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


def writable_owners(user: access.Account, *, also: int = 0) -> QuerySet[Owner]:
    """The owners for which this user may make Spaces; and `also` the one of this id."""
    roles = [Membership.Role.ADMIN, Membership.Role.WRITE]
    own = Membership.objects.filter(user_id=getattr(user, "pk", None) or 0, role__in=roles)
    return Owner.objects.filter(Q(pk__in=own.values("owner")) | Q(pk=also)).order_by("kind", "name")
