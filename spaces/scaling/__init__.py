"""A Space on several replicas: one leads and has the life that `spaces.lifecycle` describes, the others serve
beside it. All run the same version, and one queue feeds them."""
