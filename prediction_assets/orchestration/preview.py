"""Where we use a Dagster feature that is still in preview, and why that is acceptable.

Asset checks with partitions give every check its own history per slate and tie an evaluation to exactly the
materialization it judged, which the completion's gate depends on. The Dagster range is pinned and the gate
is tested, so a breaking change would show in a test and not in a season.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from dagster_shared.utils.warnings import PreviewWarning


@contextmanager
def preview_features() -> Iterator[None]:
    """Define something with a preview feature without a warning at each start of each process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        yield
