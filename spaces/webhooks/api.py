"""The Hub's routes about webhooks, each its maker's own."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from spaces.api.hub import READ_ONLY, HubError, body, date, hub, ok, signed_in
from spaces.models import Webhook
from spaces.webhooks import hooks


@hub("GET", "POST")
def all_hooks(request: HttpRequest) -> HttpResponse:
    caller = _owner(request)
    if request.method == "GET":
        return ok([_described(hook) for hook in caller.webhooks.order_by("pk")])
    values = body(request)
    if values.get("jobSourceId"):
        raise HubError(400, "There are no Jobs here: give a url.")
    try:
        hook = hooks.create(
            caller,
            url=values.get("url"),
            watched=values.get("watched"),
            domains=values.get("domains"),
            secret=values.get("secret"),
        )
    except hooks.BadHook as error:
        raise HubError(400, str(error)) from error
    return ok({"webhook": _described(hook)})


@hub("GET", "POST", "DELETE")
def one_hook(request: HttpRequest, number: str, action: str = "") -> HttpResponse:
    """Read, change or delete it; `action`: enable or disable."""
    hook = _hook(request, number)
    if request.method == "DELETE" and not action:
        hook.delete()
        return ok()
    if action:
        if request.method != "POST" or action not in ("enable", "disable"):
            raise HubError(404, "A webhook can be enabled or disabled, by POST.")
        hooks.set_disabled(hook, action == "disable")
    elif request.method == "POST":
        try:
            hooks.change(hook, body(request))
        except hooks.BadHook as error:
            raise HubError(400, str(error)) from error
    return ok({"webhook": _described(hook)})


@hub("GET")
def deliveries(request: HttpRequest, number: str) -> HttpResponse:
    """The newest deliveries, with the receiver's answer."""
    rows = _hook(request, number).deliveries.order_by("-pk")[:100]
    return ok(
        [
            {
                "id": str(row.pk),
                "scope": row.scope,
                "payload": row.payload,
                "createdAt": date(row.created_at),
                "attempts": row.attempts,
                "status": row.status,
                "answer": row.said,
                "nextTryAt": date(row.next_try_at) if row.next_try_at else None,
            }
            for row in rows
        ]
    )


def _owner(request: HttpRequest) -> Any:
    caller = signed_in(request)
    if request.method != "GET" and not caller.may_write:
        raise HubError(403, READ_ONLY)
    return caller.user


def _hook(request: HttpRequest, number: str) -> Webhook:
    caller = _owner(request)
    plain = number.isascii() and number.isdigit() and len(number) < 18
    hook = Webhook.objects.filter(pk=int(number), user=caller).first() if plain else None
    if hook is None:
        raise HubError(404, f"You have no webhook '{number[:40]}'.")
    return hook


def _described(hook: Webhook) -> dict[str, Any]:
    return {
        "id": str(hook.pk),
        "url": hook.url,
        "watched": hook.watched,
        "domains": hook.domains,
        "secret": hook.secret or None,
        "disabled": hook.disabled,
        "job": None,
    }
