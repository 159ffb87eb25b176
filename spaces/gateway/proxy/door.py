"""The address by which a request came to a Space: cookies, headers and redirects are rewritten for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where a request came in, as far as headers depend on it."""

    space_id: int
    host: str  # as the visitor wrote it
    path: str = ""  # what its paths begin with: "" on the Space's own host
    at: str = "/"  # the request's path as the app knows it
    token: str = ""  # the path of the page token it came with, "" for none
    private: bool = False
    secure: bool = False  # https
    browser: bool = False
    page: bool = False  # the answer has a token in it, for one opening of the page
    third_party: bool = False  # from a page in a frame, where its browser keeps only `Partitioned` cookies

    @property
    def program(self) -> bool:
        """Whether this is `/run/`, for programs."""
        return bool(self.path)
