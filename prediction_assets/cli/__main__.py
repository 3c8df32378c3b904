"""``python -m prediction_assets.cli``."""

from prediction_assets.cli import script

if __name__ == "__main__":
    script()
