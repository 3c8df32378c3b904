"""Sensors: they decide and ask for a run, whose assets have the effects.

The alert sensors are the exception: they keep and tell what is wrong themselves, also when no run can be had.
"""
