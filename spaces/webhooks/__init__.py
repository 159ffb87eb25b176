"""Webhooks: events of Spaces are posted to addresses that their watchers named, as on the Hub.

`events` records what is to be sent, in rows; `deliveries` sends it, in a control worker; in `api` and `pages`
users choose their events. Payloads: the Hub's version 3 (`_webhooks_payload` of its client)."""
