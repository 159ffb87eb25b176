"""The platform's own pages. Django views in web processes."""
