"""Measures a Space on a replica that no visitor is sent to. Runs in the worker of the node that has it."""
