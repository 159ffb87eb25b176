"""Which credentials are the platform's own: they never reach an app. All others are the app's business."""

from __future__ import annotations

import base64
import binascii
import re

_TOKEN = re.compile(r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]")


def are_platforms(value: str) -> bool:
    """Whether this `Authorization` may contain a token of the platform: directly, or in the user name or
    password of Basic. A value that cannot be parsed counts as one."""
    scheme, _, credentials = value.strip().partition(" ")
    if _TOKEN.search(value):
        return True
    if scheme.lower() != "basic":
        return False
    try:
        plain = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return True
    return _TOKEN.search(plain.decode("latin-1")) is not None
