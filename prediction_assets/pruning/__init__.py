"""Retention: what a nightly run removes of each kind of history, a slice at a time, and what it never touches.

A module per concern decides what may go, from what is durable; the stores' ports remove it. Each removal is
safe to repeat, and killed anywhere the next run finds the rest.
"""
