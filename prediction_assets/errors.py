"""Every error that crosses a module boundary, as one tree. Each is one line that says what to do next.

The command line prints the line and exits with 2, and Dagster shows it in the run. Errors that one module raises and
catches itself don't belong here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def plain(text: str) -> str:
    r"""Return a text without control characters: a cell of a file can't move a cursor, color or hide a line.

    Lines stay lines; other white space becomes a space, and every other unprintable character its code, ``\x1b``.
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable() or each == "\n"
        else " "
        if each.isspace()
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


_MARKUP = str.maketrans({"<": "‹", ">": "›"})


def without_markup(text: str) -> str:
    """Return a plain text without HTML, links or images of Markdown, and mentions, whatever a name in it holds."""
    # A link or an image of Markdown needs the two brackets side by side, or a bracket and the colon of the address that
    # it refers to; a mention needs its name beside the @.
    return re.sub(r"\](?=[(\[:])|@(?=[A-Za-z])", r"\g<0> ", plain(text).translate(_MARKUP))


def one_line(text: str, most: int = 2000) -> str:
    """Return a text on one line without control characters, cut where it's too long to read."""
    joined = " ".join(plain(text).split())
    return joined if len(joined) <= most else f"{joined[:most]} ..."


class PredictionAssetsError(Exception):
    """Base of every error whose message is written for the person who has to act on it; it is one plain line."""

    def __str__(self) -> str:
        """Return the message; what it quotes from a file is harmless on a terminal."""
        return plain(super().__str__()).replace("\n", " ")


class TransientError(PredictionAssetsError):
    """The same call may succeed in a moment; it is retried before it counts as failed."""


class TerminalError(PredictionAssetsError):
    """Not retried here: the call failed for good, or was already retried; the message says what to do next."""


class WarehouseBusy(TransientError):
    """Another process, transaction or job held the warehouse for longer than the setting allows."""


class StateBusy(TransientError):
    """Other processes kept changing the same document for longer than the setting allows."""


class QuotaExceeded(TransientError):
    """A quota or rate limit of a Google service is used up."""


class Overtaken(TransientError):
    """Another consolidation of the slate was committed since this one was decided; the target was not touched."""


class GameBegan(TransientError):
    """A game began before the MERGE could be committed, and its players' rows are final; the target was not touched."""

    def __init__(self, text: str, at: datetime) -> None:
        super().__init__(text)
        self.at = at  # the warehouse's time


class SourceUnavailable(TransientError):
    """A live source gave no answer in several attempts; stored facts are as they were."""


class BadInput(TerminalError):
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


class SchemaTooNew(TerminalError):
    """A store was migrated by a later version than the running one; nothing was changed."""


class StoreUnreadable(TerminalError):
    """A store can't be used at all, for any slate or player."""


class StateUnreadable(StoreUnreadable):
    """The state store can't be opened or is damaged; nothing was changed."""


class WarehouseUnreadable(StoreUnreadable):
    """The warehouse can't be opened, is damaged or foreign; nothing was changed."""


class NotPermitted(StoreUnreadable):
    """The service account lacks a role, or there are no valid credentials."""


class Misplaced(StoreUnreadable):
    """The project, a dataset, a table, a database or a topic isn't there, or is in another location."""


class Unreachable(StoreUnreadable):
    """A Google service, or its emulator, doesn't answer.

    Terminal, because the call was already retried until its deadline: a sensor's tick has to fail and alert, where
    after a transient error it only waits for the next one.
    """


class SnapshotUnreadable(TerminalError):
    """A slate's pinned features are gone, damaged, or of an earlier version: they are made again from the facts."""


class BatchNotOpen(TerminalError):
    """The slate has no batch yet."""

    @classmethod
    def on(cls, slate: str) -> BatchNotOpen:
        """Return the error about a slate, with what opens its batch."""
        return cls(f"slate {slate}: no batch is open; materialize slate_roster for it first")


class BatchConflict(TerminalError):
    """A batch was opened again with other expected players; the frozen set stands."""


class NobodyExpected(TerminalError):
    """There are games, but no player can be expected from the game logs before them."""


class NotSettled(TerminalError):
    """A consolidation was requested before the deadline, while players are still being staged."""


class NoPartsStaged(TerminalError):
    """A consolidation found no staged rows; the target was not touched and no part was dropped."""


class AuditRefused(TerminalError):
    """A blocking audit refused the slate as the MERGE would leave it; it was rolled back and every part was kept.

    Args:
        message: one line for the person who has to act.
        verdicts: each audit's ``{name, passed, severity, detail}``, as a receipt holds them.
    """

    def __init__(self, message: str, verdicts: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.verdicts = tuple(verdicts)


class PartMismatch(TerminalError):
    """A part is missing, or isn't the part that its outcome names; the target was not touched."""


class DuplicateKeys(TerminalError):
    """Staged rows share a business key, or lack a part of it; the target was not touched."""


class ChainBroken(TerminalError):
    """A published row or receipt was changed or removed: its hash doesn't agree, or no receipt has it."""


class ReceiptAltered(TerminalError):
    """A receipt was edited after it was committed; nothing of its slate is merged, dropped or announced."""


class QueryRefused(TerminalError):
    """BigQuery refused a statement or a file."""


class SchemaDrift(TerminalError):
    """A table isn't what this version declares, in a way that only a person can resolve."""


class NothingToAnnounce(TerminalError):
    """The slate has no such receipt, or a check of it failed or is missing."""


class OlderRevision(TerminalError):
    """An older revision of a slate than its newest one was to be announced; nothing was delivered."""


class InvalidMessage(TerminalError):
    """A completion message doesn't follow its schema."""


class PublishRefused(TerminalError):
    """Pub/Sub refuses a completion message, or a subscription can't get the configuration that messages need."""


class NotDelivered(TerminalError):
    """A message didn't reach its destination; it stays due. The text never contains the destination's URL."""


class NotCopied(TerminalError):
    """A board couldn't be written to its bucket or shared folder; the home's own copy is there."""


class PartOverdue(TerminalError):
    """A player's part took longer than the time limit; his staging was stopped."""


class CircuitOpen(TerminalError):
    """Most players of the run had failed with the same error, so this one wasn't tried."""


class DeadlinePassed(TerminalError):
    """A player had no outcome when his slate was consolidated at its deadline; his dead letter says so."""


class NoSuchLetter(TerminalError):
    """There is no dead letter of that slate and player."""


class NothingToTrainOn(TerminalError):
    """There is no game log to train on."""


class ResultsMissing(TerminalError):
    """A slate can't be graded yet: not all of its games have logs."""


class StageFailed(TerminalError):
    """A stage's run failed with an error that is none of these."""


class SourceRefused(TerminalError):
    """A live source refuses this network address, or the key; stored facts are as they were."""


class SourceEmpty(TransientError):
    """A live source has nothing where it owes something: its address changed, or it is broken; stored facts stay."""


class RequestsSpent(TerminalError):
    """The budget of requests of a live source is used up for the day or the month; nothing was requested."""
