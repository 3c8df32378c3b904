"""``python -m prediction_assets.cli``."""

from prediction_assets.cli import main

if __name__ == "__main__":
    main()
