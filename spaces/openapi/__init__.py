"""The Hub's paths in OpenAPI's terms, beside those that Ninja describes by itself: read from the routes, so
that none is missing. `bodies` describes the requests' bodies."""
