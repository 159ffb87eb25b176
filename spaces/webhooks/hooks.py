"""Making and changing webhooks: what one may be, checked."""

from __future__ import annotations

from typing import Any

from accounts.models import Owner, User
from infra import outbound
from spaces import permissions
from spaces.models import Webhook
from spaces.webhooks import events

MOST = 20  # of one user
MOST_WATCHED = 50
SECRET_LENGTH = 256
DOMAINS = (events.REPO, events.SPACE, "discussion")
KINDS = {"user": Owner.Kind.USER, "org": Owner.Kind.ORGANIZATION}


class BadHook(ValueError):
    """No webhook can be so; the message gives the reason."""


def create(user: User, *, url: Any, watched: Any, domains: Any = None, secret: Any = None) -> Webhook:
    """A new webhook.

    Raises:
        BadHook
    """
    if user.webhooks.count() >= MOST:
        raise BadHook(f"You have {MOST} webhooks. Delete one that you do not need.")
    return Webhook.objects.create(
        user=user,
        url=_url(url),
        watched=_watched(user, watched),
        domains=_domains(domains),
        secret=_secret(secret),
    )


def change(hook: Webhook, values: dict[str, Any]) -> None:
    """Change what of `url`, `watched` (unless empty), `domains` and `secret` is there.

    Raises:
        BadHook
    """
    if values.get("url") is not None:
        hook.url = _url(values["url"])
    if values.get("watched"):
        hook.watched = _watched(hook.user, values["watched"])
    if values.get("domains") is not None:
        hook.domains = _domains(values["domains"])
    if values.get("secret") is not None:
        hook.secret = _secret(values["secret"])
    hook.save(update_fields=["url", "watched", "domains", "secret"])


def set_disabled(hook: Webhook, disabled: bool) -> None:  # it is the value
    """Stop or resume. Waiting deliveries are dropped: they would be out of date."""
    hook.disabled, hook.failures = disabled, 0
    hook.save(update_fields=["disabled", "failures"])
    hook.deliveries.filter(next_try_at__isnull=False).update(
        next_try_at=None, said="The webhook was disabled."
    )


def _url(url: Any) -> str:
    if not isinstance(url, str):
        raise BadHook("url: give the address to send to. There are no Jobs here.")
    try:
        return outbound.check_url(url)
    except outbound.Refused as error:
        raise BadHook(str(error)) from error


def _watched(user: User, watched: Any) -> list[dict[str, str]]:
    if not isinstance(watched, list) or not 1 <= len(watched) <= MOST_WATCHED:
        raise BadHook(f"watched: name 1 to {MOST_WATCHED} users, organizations or Spaces.")
    return [_item(user, one) for one in watched]


def _item(user: User, item: Any) -> dict[str, str]:
    kind, name = (item.get("type"), item.get("name")) if isinstance(item, dict) else (None, None)
    if not isinstance(name, str) or kind not in ("user", "org", "space"):
        raise BadHook("watched: each has a type (user, org or space) and a name; there is nothing else here.")
    if kind == "space":
        space = permissions.readable(user, *_split(name))
        if space is None:
            raise BadHook(f"There is no Space '{name[:200]}'.")
        return {"type": kind, "name": str(space)}
    owner = Owner.objects.filter(name__iexact=name.replace("\0", ""), kind=KINDS[kind]).first()
    if owner is None:
        raise BadHook(f"There is no {kind} '{name[:100]}'.")
    return {"type": kind, "name": owner.name}


def _split(name: str) -> tuple[str, str]:
    owner, _, rest = name.partition("/")
    return owner, rest


def _domains(domains: Any) -> list[str]:
    domains = ["repo", "discussion"] if domains is None else domains
    if not isinstance(domains, list) or not domains or any(one not in DOMAINS for one in domains):
        raise BadHook(f"domains can be {', '.join(DOMAINS)}.")
    return list(dict.fromkeys(domains))


def _secret(secret: Any) -> str | None:
    if secret is None or secret == "":
        return None
    if not isinstance(secret, str) or len(secret) > SECRET_LENGTH or not secret.isascii():
        raise BadHook(f"secret: at most {SECRET_LENGTH} ASCII characters.")
    if not secret.isprintable() or secret != secret.strip():
        raise BadHook(
            "secret: it is sent in a header, so it has no control characters, or blanks at its ends."
        )
    return secret
