"""A simulated league, as code: facts shaped like the real ones, for demonstrations, tests and measurements.

Everything in it is invented and labelled *simulated*. It has exactly the requested number of expected players, and is
the same on every machine. What doesn't belong here: files, clocks, the environment, and the warehouse that stores the
facts.
"""
