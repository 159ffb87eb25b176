"""The API's route about replicas; it is ours, the Hub has none."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from spaces.api.hub import HubError, body, hub, ok, writable
from spaces.api.listing import runtime
from spaces.models import Space
from spaces.scaling import follow


@hub("POST")
def replicas(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Run the Space on so many replicas."""
    space = writable(request, owner, name)
    count = body(request).get("replicas")
    if not isinstance(count, int) or isinstance(count, bool):
        raise HubError(400, "'replicas' must be a whole number.")
    try:
        follow.set_count(space, count)
    except follow.BadCount as error:
        raise HubError(400, str(error)) from error
    return ok(runtime(Space.objects.select_related("owner", "replica").get(pk=space.pk), writer=True))
