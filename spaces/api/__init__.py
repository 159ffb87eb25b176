"""The Hub's HTTP API, so that its clients work unchanged, Spaceport's own additions, and git over HTTP.

Django views in web processes."""
