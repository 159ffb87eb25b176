"""git-lfs's API of a Space (its batch and locking documents; multipart as `huggingface_hub` has it): where to
send large files, and where to take them from."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from spaces.api.hub import HubError, base_url, hub, ok, read_json, readable, signed_in, writable
from spaces.lfs import addresses, holdings, multipart, store
from spaces.lfs.pointers import Pointer
from spaces.lfs.store import Refused
from spaces.models import Space

JSON = "application/vnd.git-lfs+json"
OBJECTS_AT_ONCE = 1000  # git-lfs sends 100, the official client 256


class _Object(msgspec.Struct):
    oid: str
    size: int


class _Batch(msgspec.Struct):
    operation: str = ""
    objects: list[_Object] = msgspec.field(default_factory=list)
    transfers: list[str] = msgspec.field(default_factory=list)
    hash_algo: str = "sha256"


@csrf_exempt
def batch(request: HttpRequest, owner: str, name: str) -> HttpResponseBase:
    """Where each of these objects is to be sent, or taken from."""
    return in_lfs_form(_batch(request, owner=owner, name=name))


@csrf_exempt
def nothing(request: HttpRequest) -> HttpResponseBase:
    """Whatever else there could be; for its locks git-lfs takes 404 as "not here", and goes on."""
    return in_lfs_form(_nothing(request))


@hub("GET", "POST", "PUT")
def _nothing(request: HttpRequest) -> HttpResponse:
    raise HubError(404, "Files are not locked here: of Git LFS there are uploads and downloads only.")


def in_lfs_form(answer: HttpResponseBase) -> HttpResponseBase:
    """git-lfs reads errors as `message`, and prompts for credentials where `LFS-Authenticate` is sent."""
    assert isinstance(answer, HttpResponse)
    answer["Content-Type"] = JSON
    if answer.status_code < 400:
        return answer
    text = json.loads(answer.content)["error"]
    response = JsonResponse({"message": text, "error": text}, status=answer.status_code)
    for header, value in answer.items():
        if header != "Content-Length":
            response[header] = value
    if answer.status_code == 401:
        response["LFS-Authenticate"] = 'Basic realm="Spaceport: any user name, a token as the password"'
    return response


@hub("POST")
def _batch(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = readable(request, owner, name)
    batch = read_json(request, _Batch)
    if batch.operation not in {"upload", "download"}:
        raise HubError(422, "The operation can be upload or download.")
    if batch.hash_algo != "sha256":
        raise HubError(409, "Objects are named by their SHA-256 here.")
    if len(batch.objects) > OBJECTS_AT_ONCE:
        raise HubError(413, f"Ask for at most {OBJECTS_AT_ONCE:,} objects at once.")
    if batch.operation == "upload":
        writable(request, owner, name)
    sizes = holdings.sizes(space.pk, (one.oid for one in batch.objects))
    objects = []
    for one in batch.objects:
        value: dict[str, Any] = {"oid": one.oid, "size": one.size}
        try:
            store.check_oid(one.oid)
            if batch.operation == "download":
                value |= _from_here(request, space, one, sizes)
            else:
                value |= _to_here(request, space, one, sizes, batch.transfers)
        except Refused as error:
            value["error"] = {"code": error.status, "message": str(error)}
        objects.append(value)
    transfer = "multipart" if any(map(_is_in_parts, objects)) else "basic"
    return ok({"transfer": transfer, "objects": objects, "hash_algo": "sha256"})


def _is_in_parts(value: dict[str, Any]) -> bool:
    return "header" in value.get("actions", {}).get("upload", {})


def _from_here(request: HttpRequest, space: Space, one: _Object, sizes: dict[str, int]) -> dict[str, Any]:
    if one.oid not in sizes:
        raise Refused(404, f"{space} does not have this object.")
    given = addresses.grant("get", space.pk, one.oid, sizes[one.oid])
    return {"authenticated": True, "actions": {"download": _action(request, given)}}


def _to_here(
    request: HttpRequest, space: Space, one: _Object, sizes: dict[str, int], transfers: list[str]
) -> dict[str, Any]:
    """Without actions where it is here, and the caller may have it."""
    if one.size < 0:
        raise Refused(422, "A size is not below zero.")
    if sizes.get(one.oid, one.size) != one.size:
        raise Refused(422, f"This object has {sizes[one.oid]:,} bytes, not {one.size:,}.")
    pointer = Pointer(one.oid, one.size)
    if one.oid not in sizes:
        holdings.check_fits(space.pk, one.size)
    if holdings.borrow(space.pk, signed_in(request).elsewhere, pointer):
        return {}
    store.check_room(one.size, space.pk)
    in_parts = one.size > multipart.FROM_BYTES and "multipart" in transfers
    return {
        "authenticated": True,
        "actions": {
            "upload": _parts(request, space, one)
            if in_parts
            else _action(request, addresses.grant("put", space.pk, one.oid, one.size)),
            "verify": _action(request, addresses.grant("verify", space.pk, one.oid, one.size)),
        },
    }


def _parts(request: HttpRequest, space: Space, one: _Object) -> dict[str, Any]:
    """The address that completes the upload, and the address of each part."""
    part_bytes = multipart.part_bytes_of(one.size)
    complete = addresses.grant("complete", space.pk, one.oid, one.size, part_bytes=part_bytes)
    upload = multipart.Upload.of(complete)
    header = {"chunk_size": str(part_bytes)}
    for part in range(1, upload.parts + 1):
        given = msgspec.structs.replace(complete, kind="part", part=part)
        header[str(part)] = base_url(request) + addresses.address(given)
    return _action(request, complete) | {"header": header}


def _action(request: HttpRequest, given: addresses.Grant) -> dict[str, Any]:
    lasts_s = addresses.DOWNLOAD_S if given.kind == "get" else addresses.UPLOAD_S
    return {"href": base_url(request) + addresses.address(given), "expires_in": lasts_s}
