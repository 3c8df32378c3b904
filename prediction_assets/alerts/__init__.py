"""Alerts: an incident is told once, again while it lasts, and once more when it is over."""
