"""Gives clients the address to send large files to by Xet (the Hub's route, as `hf_xet` 1.8 requests it)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from spaces.api.hub import HubError, base_url, current_caller, hub, ok, writable
from spaces.api.missing import NO_PULL_REQUESTS
from spaces.xet import sessions


@hub("GET")
def write_token(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """A new upload: its address, and a token for it. A client that renews its token keeps its address."""
    space = writable(request, owner, name)
    if current_caller(request).token is None:  # a session, which is for reading
        raise HubError(401, "Show a token with write access (hf auth login).")
    if request.GET.get("create_pr") == "1":
        raise HubError(403, NO_PULL_REQUESTS)
    token, until = sessions.token(space.pk)
    address = base_url(request) + sessions.address(sessions.begin(space.pk))
    answer = ok({"casUrl": address, "accessToken": token, "exp": until})
    answer["X-Xet-Cas-Url"], answer["X-Xet-Access-Token"] = address, token
    answer["X-Xet-Token-Expiration"] = str(until)
    answer["Cache-Control"] = "no-store"
    return answer
