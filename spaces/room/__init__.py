"""Room on nodes: the texts for Spaces that wait for it, and making room for them."""
