"""What keeps replicas going when a machine does not: lost nodes, nodes that leave, starts that are many."""
