"""Keeping replicas running when machines fail: lost nodes, nodes that leave, many starts at once."""
