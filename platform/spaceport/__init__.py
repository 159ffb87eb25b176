"""Spaceport: how the four apps are put together."""
