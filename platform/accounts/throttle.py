"""Guessing passwords is slowed down: so many failures in five minutes for one name from one address, for one
address, and for one name from everywhere. Whether a name exists makes no difference."""

from __future__ import annotations

from django.core.cache import cache

WINDOW_S = 300
PER_NAME_AND_ADDRESS = 10
PER_ADDRESS = 50
#: High, so that a stranger cannot easily keep the owner of a name out.
PER_NAME = 200


def _buckets(name: str, address: str) -> dict[str, int]:
    name = name.strip().lower()[:150]
    return {
        f"sign-in:{_hex(name)}:{address}": PER_NAME_AND_ADDRESS,
        f"sign-in:from:{address}": PER_ADDRESS,
        f"sign-in:as:{_hex(name)}": PER_NAME,
    }


def _hex(name: str) -> str:
    # Part of a key: typed text may hold anything.
    return name.encode().hex()


def too_many(name: str, address: str) -> bool:
    """Whether another try must wait."""
    buckets = _buckets(name, address)
    found = cache.get_many(buckets)
    return any(found.get(key, 0) >= most for key, most in buckets.items())


def failed(name: str, address: str) -> None:
    """Count a try that failed."""
    for key in _buckets(name, address):
        cache.add(key, 0, WINDOW_S)
        try:
            cache.incr(key)
        except ValueError:  # it ran out between the two
            cache.set(key, 1, WINDOW_S)


def succeeded(name: str, address: str) -> None:
    """Forget the failures of whoever has shown the password now."""
    cache.delete(next(iter(_buckets(name, address))))
