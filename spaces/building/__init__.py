"""Builds: their leases (`leases`), their threads (`builders`), and a single build (`results`, `runs`).

It runs in threads of a build worker; `results` ends a build and `lifecycle.built` rolls it out there."""
