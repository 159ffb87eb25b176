"""Builds: who has which (`leases`), in which threads (`builders`), and one of them (`results`, `runs`).

It runs in threads of a build worker; `results` ends a build and `lifecycle.built` rolls it out there."""
