"""`python -m tests.bench.scaling`: the simulated part alone, without a platform."""

from tests.bench.scaling.table import table

print(table())
