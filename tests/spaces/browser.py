"""A signed-in browser without a screen: cookies, and forms with their tokens."""

from __future__ import annotations

import requests

from tests.hub_server import Hub


class Browser:
    """One person's session on the platform's pages."""

    def __init__(self, hub: Hub, who: str) -> None:
        self.hub, self.session = hub, requests.Session()
        self.session.get(f"{hub.url}/login", timeout=30)
        done = self.post("/login", username=who, password=f"{who}-secret")
        assert "sessionid" in self.session.cookies, done.text

    def get(self, path: str) -> requests.Response:
        """The page, wherever it leads."""
        return self.session.get(f"{self.hub.url}{path}", timeout=30)

    def post(self, path: str, **fields: str) -> requests.Response:
        """A form, as the page sends it."""
        token = self.session.cookies.get("csrftoken") or ""
        values = {**fields, "csrfmiddlewaretoken": token}
        headers = {"Origin": self.hub.url, "Referer": f"{self.hub.url}/"}
        return self.session.post(f"{self.hub.url}{path}", data=values, headers=headers, timeout=30)
