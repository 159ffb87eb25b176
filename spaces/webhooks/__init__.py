"""Webhooks: what happens to Spaces is told to addresses that their watchers named, as the Hub does.

`events` notes what is to be told, in rows; `deliveries` sends it, in a control worker; `api` and `pages` are
where people say what they want to hear. Payloads: the Hub's version 3 (`_webhooks_payload` of its client)."""
