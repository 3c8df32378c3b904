"""The rules of one slate, as values and pure functions: keys, batch, outcomes, parts, merge plan, receipt, message.

What a slate needs next, what a MERGE consumes and what a part is are decided here, from values alone. Stores, files,
clients, settings and Dagster are elsewhere: this room imports only :mod:`prediction_assets.errors`.
"""
