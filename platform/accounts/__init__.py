"""People, organizations, signing in and API tokens, and what an account may do in a namespace.

Runs in web processes, and wherever a right is checked. Owns the rows of users, owners and tokens."""
