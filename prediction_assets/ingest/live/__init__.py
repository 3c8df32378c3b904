"""Live sources: requests to the NBA and to The Odds API, whose answers are recorded as files and read as such.

What belongs here: what is asked, retries, time limits, the budget of requests, and whether an answer is one to the
question. What doesn't: what an answer must satisfy; a recorded answer is a file like any other.
"""
