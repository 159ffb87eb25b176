"""What people are to Spaces and to each other: likes, profiles, and finding Spaces by what they say.

Views and functions in web processes; rows in PostgreSQL."""
