"""Images: what goes into them, and how they come into the engine."""
