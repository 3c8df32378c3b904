"""Measurements: ``python -m benchmarks`` prints one table per case, each row beside its peers of the same run."""
