"""Forecasting: point-in-time features, five systems, five lines, and the prediction rows made of them.

Everything here is a pure function of its arguments: no Dagster, no client, no file, no environment, no clock.
The way in is :func:`.predictions.predict_slate`; its inputs are the two halves of one run of
:data:`.features_sql.FEATURES_SQL` (:func:`.features.split_snapshot`) and the main lines that
:func:`.lines.choose_market_lines` picks.
"""
