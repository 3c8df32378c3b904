"""The assets, in flow order: facts, slate, fan-out, fan-in, publishing; one module per asset, the facts in one.

An asset reads its ports, calls ``nba``, ``ingest`` or ``steps``, and translates the result into Dagster's events and
metadata. What happens to a slate, and every rule, is decided below; a docstring of an asset is what the UI shows of it.
"""
