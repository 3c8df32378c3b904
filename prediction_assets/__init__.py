"""Turn tonight's NBA slate into points predictions, safely, every game day.

The package is a Dagster code location (:mod:`prediction_assets.definitions`) and a command line
(:mod:`prediction_assets.cli`) over the same assets. Importing it reads no file and no environment.
"""

__version__ = "0.1.0"
