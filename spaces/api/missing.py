"""Answers to requests of the Hub's clients for features that we lack: what it was, and what to do instead."""

from __future__ import annotations

import functools
import re

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from spaces.api.hub import ONLY_SPACES, HubError, View, body, hub, readable
from spaces.api.values import DATA

_OF_A_SPACE = r"spaces/[^/]+/[^/]+/"

#: The Hub's own text for a repository whose owner turned them off; programs match it.
NO_DISCUSSIONS = "Discussions are disabled for this repo"
NO_PULL_REQUESTS = "Pull requests are disabled for this repo: commit to a branch or to main"

OF_VOLUMES = "The files of a volume (the Hub's word: bucket) are read and written by the Spaces that have it."

#: Paths below /api/, in order, and their answers.
FEATURES: tuple[tuple[str, str], ...] = (
    (
        _OF_A_SPACE + r"xet-read-token/.*",
        "Files are uploaded by Xet, and downloaded as they are: at /spaces/<owner>/<name>/resolve/.",
    ),
    (_OF_A_SPACE + r"storage", DATA),
    (r"models|datasets|kernels", ONLY_SPACES),  # the lists; a single one is not found
    (_OF_A_SPACE + r"dev-mode", "There is no dev mode here: push the change, and the Space starts with it."),
    (
        r"(?:users|organizations)/.*",
        "Of users and organizations there are overviews, members and likes here.",
    ),
    (r"buckets/[^/]+/[^/]+/.*", OF_VOLUMES),
    (
        r"(?:papers|daily_papers|jobs|buckets|scheduled-jobs|inference\S*)(?:/.*)?",
        "This is not part of Spaceport, which has only Spaces; unset HF_ENDPOINT to reach the Hub's own.",
    ),
)
#: What follows a Space's id where something is changed. Without its owner an id ends here where a name would.
_PARTS = (
    "like|settings|duplicate|discussions|hardware|sleeptime|pause|restart|secrets|variables"
    "|volumes|storage|dev-mode"
)
#: A Space's id without its owner, alone or before what may follow an id.
_ONE_WORD = re.compile(
    rf"spaces/([^/]+)(?:/(?:{_PARTS})|/(?:revision|tree|preupload|commit|commits|paths-info|branch|tag"
    r"|super-squash|lfs-files|logs|auth-check|discussions|user-access-request)/.+)?"
)


@hub("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")
def nothing(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Programs get JSON, never a page."""
    for pattern, sentence in FEATURES:
        if re.fullmatch(pattern, rest):
            raise HubError(501, sentence)
    if re.match(r"(?:models|datasets|kernels)(?:/|$)", rest):
        raise HubError(404, ONLY_SPACES, "RepoNotFound")
    if one := _ONE_WORD.fullmatch(rest):
        text = f"A Space's id is <owner>/<name>; '{one[1][:100]}' names no owner."
        raise HubError(404, text, "RepoNotFound")
    text = f"'{request.path[:200]}' is no address of this API; /api/docs lists those there are."
    raise HubError(404, text)


def or_one_word(view: View) -> View:
    """A Space's own address, which looks the same as a part of one that is named without its owner."""

    @functools.wraps(view)
    def either(request: HttpRequest, owner: str, name: str) -> HttpResponseBase:
        part = request.method not in {"GET", "HEAD"} and re.fullmatch(_PARTS, name)
        return nothing(request, f"spaces/{owner}/{name}") if part else view(request, owner, name)

    return either


@hub("GET", "HEAD")
def no_other_kind(request: HttpRequest) -> HttpResponse:
    """Downloads from models and data sets."""
    raise HubError(404, ONLY_SPACES, "RepoNotFound")


@hub("GET", "HEAD")
def no_files_of_volumes(request: HttpRequest, owner: str, name: str, path: str) -> HttpResponse:
    """Downloads from buckets."""
    raise HubError(501, OF_VOLUMES)


@hub("POST")
def no_attachments(request: HttpRequest) -> HttpResponse:
    """Pictures for discussions."""
    raise HubError(501, "Attachments belong to discussions, and those are turned off here.")


@hub("GET")
def no_quota(request: HttpRequest) -> HttpResponse:
    raise HubError(501, "There is no ZeroGPU here, and no quota: a Space has its hardware to itself.")


@hub("GET", "POST", "PUT", "PATCH", "DELETE")
def discussions(request: HttpRequest, owner: str, name: str, rest: str = "") -> HttpResponse:
    """Discussions and pull requests of a Space, as if its owner had turned them off."""
    readable(request, owner, name)
    opens = request.method == "POST" and not rest
    wants_pull_requests = (
        body(request).get("pullRequest") if opens else request.GET.get("type") == "pull_request"
    )
    raise HubError(403, NO_PULL_REQUESTS if wants_pull_requests else NO_DISCUSSIONS)


@hub("GET", "POST")
def no_access_requests(request: HttpRequest, owner: str, name: str, rest: str = "") -> HttpResponse:
    """A request for access to a gated repository: the Hub's answer for one that is not gated."""
    readable(request, owner, name)
    raise HubError(400, "This Space is not gated: nobody asks for access.")
