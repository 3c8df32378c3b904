"""What is predicted: tonight's slate, its roster, skip rules, features, stored models, forecasts and grades.

Functions here read facts from the warehouse and return values; the rules and the mathematics are pure functions, those
of the forecast in ``forecasting/``. Ingesting facts, staging rows and everything of Dagster's is elsewhere.
"""
