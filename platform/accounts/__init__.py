"""People, organizations, signing in and API tokens, and what an account may do in a namespace.

Runs in web processes, and wherever a right is asked for. Owns the rows of users, owners and tokens."""
