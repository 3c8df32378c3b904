"""The errors a user of the platform can meet, each a single line that says what to do next.

What belongs here: exceptions that cross a module boundary. The command line turns every
:class:`PredictionAssetsError` into one line on standard error and exit code 2; Dagster shows the same line
in the run. What doesn't: errors that one module raises and catches itself.
"""

from __future__ import annotations


class PredictionAssetsError(Exception):
    """Base of every error whose message is written for the person who has to act on it."""


class TransientError(PredictionAssetsError):
    """Something that may work a moment later: a step tries again before it calls it a failure."""


class StateUnreadable(PredictionAssetsError):
    """The state store can't be opened or is damaged; nothing was changed."""


class BadInput(PredictionAssetsError):
    """A file or a value from outside was refused; nothing of it was stored.

    Args:
        source: the file, setting or argument that was read.
        problem: what is wrong with it, naming the offending value.
        row: 1-based line of a text file (the header is line 1) or 1-based row of a columnar file.
        column: the column as the file spells it.
        hint: what to do about it.
    """

    def __init__(
        self,
        source: object,
        problem: str,
        *,
        row: int | None = None,
        column: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.source = str(source)
        self.problem = problem
        self.row = row
        self.column = column
        self.hint = hint
        where = [str(source)]
        if row is not None:
            where.append(f"row {row}")
        if column is not None:
            where.append(f"column {column}")
        message = f"{', '.join(where)}: {problem}"
        if hint:
            message += f"; {hint}"
        super().__init__(message)


def one_line(text: str, most: int = 2000) -> str:
    """Return a text on one line, cut where it's too long to read."""
    joined = " ".join(text.split())
    return joined if len(joined) <= most else f"{joined[:most]} ..."
