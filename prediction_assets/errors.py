"""Every error that crosses a module boundary, as one tree.

    PredictionAssetsError        one line that says what to do next; the command line exits with 2
      TransientError             may pass by itself: the same call is tried again
        WarehouseBusy            another process, or a quota, holds the warehouse
          QuotaExceeded
        Overtaken                another consolidation of the slate came first
      TerminalError              trying again changes nothing until somebody acts
        BadInput                 a file, setting or argument is refused
        SchemaTooNew             a later version of the package wrote the store
        StateUnreadable          the state store is damaged or can't be opened
        WarehouseUnreadable      the warehouse is damaged, foreign or not permitted
          NotPermitted, Misplaced, Unreachable
        BatchNotOpen, BatchConflict, NobodyExpected
        NotSettled, NoPartsStaged, TooFewStaged
        PartMismatch, DuplicateKeys, RowsUnaccountedFor, ReceiptAltered, QueryRefused, SchemaDrift
        NothingToAnnounce, InvalidMessage, PublishRefused, PublishUnacknowledged, NotDelivered
        PartOverdue, CircuitOpen, DeadlinePassed, NoSuchLetter
        NothingToTrainOn, ResultsMissing, StageFailed

Dagster shows the same line in the run. Errors that one module raises and catches itself don't belong here.
"""

from __future__ import annotations


class PredictionAssetsError(Exception):
    """Base of every error whose message is written for the person who has to act on it."""


class TransientError(PredictionAssetsError):
    """Something that may work a moment later: the same call is tried again before it counts as failed."""


class TerminalError(PredictionAssetsError):
    """Something that trying again doesn't change: a person or another step has to act first."""


class WarehouseBusy(TransientError):
    """Another process kept the warehouse for longer than we were told to wait."""


class QuotaExceeded(WarehouseBusy):
    """A quota or rate limit of BigQuery is used up."""


class Overtaken(TransientError):
    """Another consolidation of the slate was committed since this one was decided; the target was not touched."""


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


class StateUnreadable(TerminalError):
    """The state store can't be opened or is damaged; nothing was changed."""


class WarehouseUnreadable(TerminalError):
    """The warehouse can't be opened: damaged, foreign, or not permitted."""


class NotPermitted(WarehouseUnreadable):
    """The service account lacks a role, or there are no valid credentials."""


class Misplaced(WarehouseUnreadable):
    """The project, a dataset or a table isn't there, or is in another location."""


class Unreachable(WarehouseUnreadable):
    """BigQuery, or its emulator, doesn't answer."""


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
    """A consolidation was asked for while players are still being staged, before the deadline."""


class NoPartsStaged(TerminalError):
    """A consolidation found no staged rows; the target was not touched and no part was dropped."""


class TooFewStaged(TerminalError):
    """So few expected players have rows that the slate isn't worth announcing; nothing was touched."""


class PartMismatch(TerminalError):
    """A part is gone, or isn't the one its outcome names; the target was not touched."""


class DuplicateKeys(TerminalError):
    """Staged rows share a business key, or lack a part of it; the target was not touched."""


class RowsUnaccountedFor(TerminalError):
    """A MERGE didn't do what was counted before it; it was rolled back."""


class ReceiptAltered(TerminalError):
    """A receipt was edited after it was committed; nothing is merged, dropped or announced on its strength."""


class QueryRefused(TerminalError):
    """BigQuery won't run a statement or load a file as it is."""


class SchemaDrift(TerminalError):
    """A table isn't what this version declares, in a way that mustn't be mended by itself."""


class NothingToAnnounce(TerminalError):
    """The slate has no such receipt, or the checks don't allow to announce it."""


class InvalidMessage(TerminalError):
    """A completion message doesn't follow its schema."""


class PublishRefused(TerminalError):
    """Pub/Sub won't take it: no such topic, no permission, no credentials. Trying again doesn't help."""


class PublishUnacknowledged(TerminalError):
    """Pub/Sub didn't acknowledge in time; the message may have been delivered or not."""


class NotDelivered(TerminalError):
    """A message didn't reach its destination; it stays due. The text never contains the destination's URL."""


class PartOverdue(TerminalError):
    """A player's part took longer than its time and was given up on."""


class CircuitOpen(TerminalError):
    """Most players of the run had failed alike, so this one wasn't tried any more."""


class DeadlinePassed(TerminalError):
    """A player had no outcome when his slate was consolidated at its deadline; his dead letter says so."""


class NoSuchLetter(TerminalError):
    """There is no dead letter of that slate and player."""


class NothingToTrainOn(TerminalError):
    """There is no game log to train on."""


class ResultsMissing(TerminalError):
    """A slate can't be graded yet: not all of its games have logs."""


class StageFailed(TerminalError):
    """A stage's run failed for a reason that no error of ours explains."""


def one_line(text: str, most: int = 2000) -> str:
    """Return a text on one line, cut where it's too long to read."""
    joined = " ".join(text.split())
    return joined if len(joined) <= most else f"{joined[:most]} ..."
