"""Room on nodes: what Spaces are told that wait for it, and who makes room for them."""
