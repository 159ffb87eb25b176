"""The community: likes, profiles, and finding Spaces by their descriptions.

Views and functions in web processes; rows in PostgreSQL."""
