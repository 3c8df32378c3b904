"""A simulated league, as code: facts shaped like the real ones, for demonstrations, tests and measurements.

Everything in it is invented and labelled *simulated*. It has exactly as many expected players as asked for,
and is the same on every machine. Nothing here reads a file, a clock or the environment; writing the facts
to a warehouse is the ingestion's work.
"""
