"""Forecasting: point-in-time features, five systems, five lines, and the prediction rows made of them.

What belongs here: pure functions of their arguments. What doesn't: Dagster, clients, files, the environment, clocks.
Start reading at :func:`.predictions.predict_slate`. Its inputs are the two halves of one result of
:data:`.features_sql.FEATURES_SQL` (:func:`.features.split_snapshot`) and the main lines of
:func:`prediction_assets.nba.forecast.market_lines`.
"""
