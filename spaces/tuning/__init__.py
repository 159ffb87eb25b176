"""Measuring a Space, as its owner meets it: starting it, the page and the API. The work is that of
`queueing.measuring`."""
