"""Values that the Hub's routes are sent about a Space, checked: sleep times, secrets, variables."""

from __future__ import annotations

from typing import Any

from spaces.api.hub import HubError, text
from spaces.secrets import KEY, MOST_KEYS, VALUE_LIMIT

MOST_SLEEP_S = 10**9


def sleep_seconds(value: Any) -> int | None:
    """A sleep time as the client sends it; None (-1 on the wire) is never.

    Raises:
        HubError
    """
    if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value <= MOST_SLEEP_S:
        raise HubError(400, f"A sleep time is a whole number of seconds up to {MOST_SLEEP_S:,}; -1 is never.")
    return value if value >= 0 else None


def pairs(items: Any) -> dict[str, tuple[str, str]]:
    """Secrets or variables: {key: (value, description)}.

    Raises:
        HubError
    """
    items = items or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise HubError(400, "secrets and variables are lists of {key, value}.")
    if len(items) > MOST_KEYS:
        raise HubError(400, f"A Space may have at most {MOST_KEYS} of these.")
    return {check_key(item.get("key")): value_and_description(item) for item in items}


def value_and_description(values: dict[str, Any]) -> tuple[str, str]:
    """Those of a secret or variable.

    Raises:
        HubError
    """
    about = text(values, "description", most=300) if values.get("description") else ""
    return text(values, "value", most=VALUE_LIMIT), about


def check_key(key: Any) -> str:
    """A name that an environment variable may have.

    Raises:
        HubError
    """
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise HubError(
            400, f"'{str(key)[:60]}' is no name for a variable: letters, digits and '_', at most 128."
        )
    return key


DATA = "Each Space has /data, which is kept until the Space is deleted: there are no sizes to choose."
#: Values that the Hub's clients may send for a new Space and that we cannot honour, by the wire's names.
NOT_HERE = {
    "storage": DATA,
    "storageTier": DATA,
    "region": "There are no regions here: all Spaces run on this platform's own machines.",
    "resourceGroupId": "There are no resource groups here: who may write is decided by the organization.",
    "gated": "Spaces are not gated here: make it private, and its organization's members see it.",
}


def switch(values: dict[str, Any], key: str) -> bool:
    """A value that is true or false.

    Raises:
        HubError
    """
    if not isinstance(values.get(key), bool):
        raise HubError(400, f"{key} is true or false.")
    return bool(values[key])


def refuse_what_is_not_here(values: dict[str, Any]) -> None:
    """Refuse values that would otherwise be ignored silently.

    Raises:
        HubError
    """
    for key, sentence in NOT_HERE.items():
        if values.get(key):
            raise HubError(400, f"{key}: {sentence}")
