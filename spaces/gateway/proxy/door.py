"""By which address a request came to a Space: what cookies, headers and redirects are rewritten for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where a request came in, as far as headers go by it."""

    space_id: int
    host: str  # as the visitor wrote it
    path: str = ""  # what its paths begin with: "" on the Space's own host
    at: str = "/"  # the request's path as the app knows it
    token: str = ""  # the path of the page token it came with, "" for none
    private: bool = False
    secure: bool = False  # https
    browser: bool = False
    page: bool = False  # the answer has a token in it, for one opening of the page
    third_party: bool = False  # a page in a frame asks whose browser keeps only `Partitioned` cookies there

    @property
    def program(self) -> bool:
        """Whether this is `/run/`, for programs."""
        return bool(self.path)
