"""What a person looks at: a slate's board as one HTML page, and why a player's rows are what they are.

What belongs here: reading what was published, and showing it. What doesn't: any decision about it.
"""
