"""Builds: who has which (`leases`), in which threads (`builders`), and one of them (`results`, `runs`)."""
