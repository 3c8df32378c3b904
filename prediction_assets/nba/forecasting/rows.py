"""Feature rows as numpy arrays, for the systems.

A :class:`Rows` is a read-only view of a table of :data:`.features.FEATURES_SCHEMA`: scalar columns as float64
with NaN for NULL, the two lists as dense matrices. :class:`History` is the training rows in canonical order,
with the time-ordered holdout split and a memo of fitted systems, so that the holdout pass and the ensemble
share their fits. What doesn't belong here: anything that knows a particular system.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.nba.forecasting.features_sql import RECENT_GAMES

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

HOLDOUT_GAME_DAYS = 30
"""Least length of the out-of-sample tail: the last month of a season, about 3,000 games of regulars."""

HOLDOUT_SHARE = 0.12
"""Share of the game days in the tail where that is more: a season out of eight."""

HOLDOUT_ROWS = (1_500, 4_000)
"""Limits on scored holdout rows, which are evenly spaced over the tail; between them, 1/40 of the history. Reason: a
standard error of 0.06 to 0.1 points, and k-NN in under a second."""

REGULAR_MINUTES = 12.0
"""Minutes per game over the last 7 games that make a player a regular. Expected players have 15; this is a little
less, so that they aren't at the edge of the training rows. To learn from everybody is 0.01 points worse on expected
players."""

REGULAR_GAMES = 7

MOST_REGULARS = 105_000
"""Most training rows, the newest regulars' of about five seasons: bounds a fit's time. On the regulars of 2023-24 four,
five and eight seasons are equally good."""

MINIMUM_TRAINING_ROWS = 1_000
"""Rows before the holdout below which nothing is learnt from it (about six game days)."""

MINIMUM_HOLDOUT_ROWS = 300
"""Holdout rows below which its errors are noise (about two game days)."""

T = TypeVar("T")


class Rows:
    """Feature rows, column by column; a column is converted at its first use.

    Args:
        table: n rows of :data:`.features.FEATURES_SCHEMA`; None for those of ``whole``.
        whole: rows that contain these; what is asked of these is read from there, so the caller keeps it.
        where: the positions of these rows in ``whole``.
    """

    def __init__(
        self,
        table: pa.Table | None,
        whole: Rows | None = None,
        where: slice | Indices = slice(None),
    ) -> None:
        self._table = table
        # Rows keep the parts that they were asked for; without a cycle, all are freed with the last use of the whole.
        self._whole: Rows | None = None if whole is None else weakref.proxy(whole)
        self._where = where
        self._columns: dict[str, Floats] = {}
        self._derived: dict[object, Floats] = {}
        self._kept: dict[object, Floats] = {}

    def __len__(self) -> int:
        if self._whole is None:
            return int(self.table.num_rows)
        where = self._where
        return len(range(*where.indices(len(self._whole)))) if isinstance(where, slice) else len(where)

    @property
    def table(self) -> pa.Table:
        """The rows as a table."""
        return self._table if self._whole is None else self._of_table(self._whole.table)

    def values(self, name: str) -> pa.ChunkedArray:
        """Return a column as it is in the table."""
        return self.table[name] if self._whole is None else self._of_table(self._whole.values(name))

    def _of_table(self, whole: Any) -> Any:
        where = self._where
        if isinstance(where, slice):
            return whole.slice(where.start or 0, len(self))
        return whole.take(pa.array(where))

    def __getitem__(self, name: str) -> Floats:
        """Return a scalar column as float64 of shape (n,); NULL is NaN, booleans are 0 and 1.

        A list column comes as shape (n, 25), most recent first, NaN where there was no such game.

        Raises:
            KeyError: there is no such column.
        """
        if name not in self._columns:
            column = self._column(name)
            column.setflags(write=False)
            self._columns[name] = column
        return self._columns[name]

    def _column(self, name: str) -> Floats:
        if self._whole is None:
            return _array(self.table.column(name))
        return np.ascontiguousarray(self._whole.for_part(name)[self._where])

    def for_part(self, name: str) -> Floats:
        """Return a column of which a part is about to take its own."""
        return self[name]

    def once(self, key: object, compute: Callable[[], Floats], *, keep: bool = False) -> Floats:
        """Return ``compute()``, computed at most once per key, so that the ensemble and its members share it.

        Args:
            keep: the value also holds for :meth:`variants`.
        """
        if key not in self._derived:
            self._derived[key] = compute()
            if keep:
                self._kept[key] = self._derived[key]
        return self._derived[key]

    def variants(self, changes: Sequence[Mapping[str, Floats]]) -> Rows:
        """Return these n rows once for each mapping, block after block, with its values in these scalar columns.

        One block of 3 n rows costs half of three blocks of n.
        """
        times = len(changes)
        other = Rows(None, self, np.tile(np.arange(len(self)), times))
        for name in dict.fromkeys(name for change in changes for name in change):
            other._columns[name] = np.concatenate([change.get(name, self[name]) for change in changes])
        other._derived.update({key: np.tile(values, times) for key, values in self._kept.items()})
        return other

    def attach(self, columns: Mapping[str, Floats]) -> None:
        """Give the rows columns that their table doesn't have, each of shape (n,)."""
        self._columns.update(columns)

    def has(self, attached: str) -> bool:
        """Return whether a column was attached to these rows."""
        return attached in self._columns or (self._whole is not None and self._whole.has(attached))

    def matrix(self, names: Sequence[str]) -> Floats:
        """Return the columns as a matrix of shape (n, len(names)); NULL is NaN."""
        return np.column_stack([self[name] for name in names])


class History(Rows):
    """Training rows in canonical order (game_date, game_id, player_id), without the rows that have no result."""

    def __init__(
        self,
        table: pa.Table | None,
        whole: Rows | None = None,
        where: slice = slice(None),
    ) -> None:
        if table is not None:
            if table.column("points").null_count:
                table = table.filter(pc.is_valid(table.column("points")))
            table = table.combine_chunks()
            order = pc.sort_indices(
                table, [(name, "ascending") for name in ("game_date", "game_id", "player_id")]
            )
            if not np.array_equal(order.to_numpy(), np.arange(table.num_rows)):  # FEATURES_SQL sorts already
                table = table.take(order)
        super().__init__(table, whole, where)
        self._fits: dict[object, Any] = {}

    def for_part(self, name: str) -> Floats:
        """Return a column without keeping it: of all rows, which nobody forecasts, it is as large as the parts' own."""
        return self._columns[name] if name in self._columns else self._column(name)

    def fitted(self, fit: Callable[[History], T]) -> T:
        """Return ``fit(self)``, computed at most once per function, so that systems and ensemble share the fits."""
        if fit not in self._fits:
            self._fits[fit] = fit(self)
        return cast("T", self._fits[fit])

    @cached_property
    def holdout(self) -> tuple[History, Rows] | None:
        """The rows before the last game days, and a sample of the regulars' rows of those days; None with too few."""
        dates = self.table.column("game_date").to_numpy()
        days = np.unique(dates)
        length = max(HOLDOUT_GAME_DAYS, int(HOLDOUT_SHARE * len(days)))
        if len(days) <= length:
            return None
        split = int(np.searchsorted(dates, days[-length]))
        within = split + np.flatnonzero(is_regular(self)[split:])
        if split < MINIMUM_TRAINING_ROWS or len(within) < MINIMUM_HOLDOUT_ROWS:
            return None
        size = min(len(within), max(HOLDOUT_ROWS[0], min(HOLDOUT_ROWS[1], len(self) // 40)))
        sample = within[np.linspace(0, len(within) - 1, size).astype(np.int64)]
        before = slice(0, split)
        return (
            History(None, self, before),
            Rows(None, self, sample),
        )

    @cached_property
    def regulars(self) -> Rows:
        """The newest rows of the regulars; everybody's rows where there are few."""
        chosen = np.flatnonzero(is_regular(self))
        if len(chosen) < MINIMUM_TRAINING_ROWS:
            chosen = np.arange(len(self))
        chosen = chosen[-MOST_REGULARS:]
        return Rows(None, self, chosen)


def is_regular(rows: Rows) -> npt.NDArray[np.bool_]:
    """Return whether each row's player is a regular, by :data:`REGULAR_MINUTES`: shape (n,)."""
    played = rows["recent_minutes"][:, :REGULAR_GAMES]
    games = np.isfinite(played).sum(axis=1)
    enough: npt.NDArray[np.bool_] = np.nansum(played, axis=1) >= REGULAR_MINUTES * np.maximum(games, 1)
    return enough


def _array(column: pa.ChunkedArray) -> Floats:
    """Return an Arrow column as float64: (n,) for scalars, (n, RECENT_GAMES) for lists, NaN for NULL."""
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    if not pa.types.is_list(column.type):
        # Not a copy if none is NULL.
        return np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(), dtype=np.int64)
    dense = np.full((len(column), max(RECENT_GAMES, int(lengths.max(initial=0)))), np.nan)
    dense[np.arange(dense.shape[1]) < lengths[:, None]] = pc.cast(
        pc.list_flatten(column), pa.float64()
    ).to_numpy()
    return np.ascontiguousarray(dense[:, :RECENT_GAMES])
