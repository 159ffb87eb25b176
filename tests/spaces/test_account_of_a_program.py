"""Whose idempotency key it is, is known or not guessed: PostgreSQL may be away when a program submits."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from accounts import tokens
from queueing.errors import AccountUnknown
from spaces.gateway.identity import visitor

ADDRESS = "127.0.0.1"
SCOPE = {"headers": [(b"authorization", f"Bearer {tokens.PREFIX}of-somebody".encode())]}


@pytest.fixture
def postgresql(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether it is there; nothing is remembered of the tests before."""
    state = {"there": True}

    def user_of(_: str, __: str) -> int:
        if not state["there"]:
            raise OperationalError("connection refused")
        return 7

    monkeypatch.setattr(visitor, "_user_of", user_of)
    monkeypatch.setattr(visitor, "_accounts", {})
    monkeypatch.setattr(visitor, "REMEMBERED_S", 0.0)
    return state


async def test_while_postgresql_is_away_an_account_is_what_it_was_before(postgresql: dict[str, bool]) -> None:
    assert await visitor.account_of(SCOPE, address=ADDRESS) == 7
    postgresql["there"] = False
    assert await visitor.account_of(SCOPE, address=ADDRESS) == 7
    assert await visitor.account_of(SCOPE, address=ADDRESS, surely=True) == 7


async def test_a_program_nobody_knew_before_is_a_stranger_but_not_where_its_key_would_count_for_another(
    postgresql: dict[str, bool],
) -> None:
    postgresql["there"] = False
    assert await visitor.account_of(SCOPE, address=ADDRESS) is None
    with pytest.raises(AccountUnknown):
        await visitor.account_of(SCOPE, address=ADDRESS, surely=True)
    postgresql["there"] = True
    assert await visitor.account_of(SCOPE, address=ADDRESS, surely=True) == 7
