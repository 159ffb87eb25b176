"""Files that somebody drops on a page: they become one commit."""
