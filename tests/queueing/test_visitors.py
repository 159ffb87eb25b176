"""Who counts as one visitor."""

from __future__ import annotations

import pytest

from queueing.identity import client_of, visitor


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"user_id": 7, "page": "visit", "address": "192.0.2.9"}, "account:7"),
        ({"page": "visit", "address": "192.0.2.9"}, "page:visit"),
        ({"address": "192.0.2.9"}, "address:192.0.2.0/24"),
        ({"address": "2001:db8:1:2fe::1"}, "address:2001:db8:1:200::/56"),
        ({"address": "fe80::1%eth0"}, "address:fe80::/56"),
        ({"address": "::ffff:192.0.2.9"}, "address:192.0.2.0/24"),
        ({"address": ""}, "address:unknown"),
        ({"address": "unix:/run/web.sock"}, "address:unix:/run/web.sock"),
    ],
)
def test_account_before_session_before_network(known: dict[str, object], expected: str) -> None:
    assert visitor(**known) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("proxies", "told", "expected"),
    [
        (0, b"192.0.2.1", "10.0.0.1"),  # nobody's word counts without a proxy of one's own
        (1, b"6.6.6.6, 192.0.2.1", "192.0.2.1"),  # the left part is the visitor's invention
        (2, b"6.6.6.6, 192.0.2.1, 10.0.0.7", "192.0.2.1"),
        (2, b"192.0.2.1", "10.0.0.1"),
        (1, b"", "10.0.0.1"),
    ],
)
def test_a_proxys_word_counts_as_far_as_it_is_ones_own(proxies: int, told: bytes, expected: str) -> None:
    headers = [(b"host", b"x"), (b"X-Forwarded-For", told)]
    assert client_of(headers, "10.0.0.1", proxies) == expected
