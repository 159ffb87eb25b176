"""The browser of the census is the browser tests' own."""

from tests.browser.conftest import chromium

__all__ = ["chromium"]
