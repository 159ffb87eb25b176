"""Whether a range of replicas keeps the owner's goal, and what it costs beside someone who knows the
future."""
