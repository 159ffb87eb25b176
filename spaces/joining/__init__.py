"""Machines that join as nodes: the doors, for administrators and for the machines (`hardware.trust`)."""
