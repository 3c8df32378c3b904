"""Which slates are at rest. The history of any other slate is kept, however old it is."""

from datetime import date, timedelta

from prediction_assets.errors import BadInput
from prediction_assets.retention.kinds import History
from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate
from prediction_assets.slate.next_step import Step, next_step


class SlatesAtRest:
    """Decides whether a slate is at rest, from one listing of staging."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._in_staging = set(history.warehouse.parts.slates())
        self._known: dict[str, str | None] = {}

    def reason_to_keep(self, slate: str) -> str | None:
        """Return why the slate isn't at rest, None when it is."""
        if slate not in self._known:
            self._known[slate] = self._reason(slate)
        return self._known[slate]

    def _reason(self, slate: str) -> str | None:
        if slate in self._in_staging:
            return "parts in staging"
        if slate in self._history.slates_at_work:
            return "a run is at work on it"
        progress = self._history.state.progress(slate)
        if progress is not None and next_step(progress, self._history.now) is not Step.NOTHING:
            return "not finished"
        return None


def is_before(slate: str, oldest: date) -> bool:
    """Return whether a slate's date lies before another.

    False for keys that aren't slates: another program created them.
    """
    try:
        return parse_slate(slate) < oldest
    except BadInput:
        return False


def oldest_kept(history: History, keep_days: int) -> date:
    """Return the first US Eastern date that is kept."""
    return history.now.astimezone(GAME_TIME_ZONE).date() - timedelta(days=keep_days)
