"""Webhooks: what happens to Spaces is posted to addresses that their watchers named, as the Hub does.

`events` records what is to be sent, in rows; `deliveries` sends it, in a control worker; in `api` and `pages`
people choose what to hear of. Payloads: the Hub's version 3 (`_webhooks_payload` of its client)."""
