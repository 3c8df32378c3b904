"""A slate's board as one HTML file: no server, no network, no other file. A pure function from values to text.

Text from facts is escaped by the template, and its control characters are spelt. The page's own policy
(Content-Security-Policy) lets it load nothing, and run no script but the one that sorts its tables.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from prediction_assets.board.values import SYSTEM, Board, Row
from prediction_assets.errors import plain
from prediction_assets.nba.forecasting.by_game import Interval
from prediction_assets.slate.markets import counted

NONE = "–"
"""What a cell without a value says."""

DRAWN = 120
"""Width of a drawn distribution, in pixels of the page; a form's bars have the same."""

_LEAST_SCALE = 10.0


def board_page(board: Board) -> str:
    """Return the page; the same board gives the same text."""
    most = [
        points for each in board.players for points in (*each.quantiles.values(), float(each.row["line"]))
    ]
    script = _text("sort.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        board=board,
        receipt=board.receipt,
        system=SYSTEM,
        scale=max([*most, _LEAST_SCALE]),
        drawn=DRAWN,
        script=Markup(script),  # noqa: S704  a file of this package
        script_digest=digest,
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "points": _points,
        "percent": _percent,
        "american": lambda price: NONE if price is None else f"{price:+d}",
        "number": lambda value, digits: NONE if value is None else f"{value:.{digits}f}",
        "listed": _listed,
        "by_line": _by_line,
        "interval": _interval,
        "game": _game,
        "who": _who,
        "exact": _exact,
    }
    return environment.from_string(_text("page.html.j2"))


def _text(name: str) -> str:
    return files("prediction_assets.board").joinpath(name).read_text("utf-8")


def _shown(value: Any) -> Any:
    """Return what an expression of the template becomes: no text but the template's own has control characters."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _points(value: Any) -> str:
    """Return points with one digit, or a line with the two that it has."""
    if value is None:
        return NONE
    return f"{value:.1f}" if isinstance(value, float | int) or value * 10 % 1 == 0 else str(value)


def _listed(points: Mapping[Any, float], form: str) -> str:
    """Return names with their points, each in this form."""
    # Not by loops of the template: it escapes each of its expressions, and a player would have two hundred.
    return ", ".join(form.format(name, _points(each)) for name, each in points.items())


def _by_line(rows: Sequence[Row]) -> str:
    """Return each line with the probability that the player goes over it."""
    return ", ".join(f"{_points(row['line'])}: {_percent(row['probability_over'])}" for row in rows)


def _exact(value: Any) -> str:
    """Return the value that a table is sorted by; a line has other digits in each warehouse."""
    return "" if value is None else str(float(value) if isinstance(value, Decimal) else value)


def _percent(value: float | None, digits: int = 1) -> str:
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def _interval(found: Interval | None, unit: str = "") -> str:
    """Return a figure with its interval; ``%`` shows shares."""
    if found is None:
        return NONE
    factor, digits, after = (100, 1, " %") if unit == "%" else (1, 3 if unit == "score" else 2, "")
    said = f"{factor * found.value:.{digits}f}{after}"
    if found.low is None or found.high is None:
        return said
    return f"{said} ({factor * found.low:.{digits}f} to {factor * found.high:.{digits}f})"


def _who(row: dict[str, Any]) -> str:
    """Return the player's name, with what is forecast where that isn't points."""
    of = counted(row["market"])
    return f"{row['player_name']}:{of}" if of else str(row["player_name"])


def _game(row: dict[str, Any]) -> str:
    between = "-" if row["is_home"] is None else "vs" if row["is_home"] else "@"
    return f"{row['team']} {between} {row['opponent']}"
