"""The visitor behind a request: account, page and session, from cookies, tokens and addresses.

Runs in web processes."""
