"""The browser of the census is the browser tests' own."""

from tests.browser.conftest import chromium, playwright

__all__ = ["chromium", "playwright"]
