"""One slate's steps over the stores: pin, stage, merge, clean up, announce; each can be killed anywhere and run again.

A step reads its values from the stores, lets :mod:`prediction_assets.slate` decide, and writes what was decided; named
failpoints behind each durable write let a test stop it there. Rules of a slate, and everything of Dagster's, are
elsewhere: assets and the command line call these functions.
"""
