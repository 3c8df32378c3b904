"""The open dead letters, as the UI shows them."""

from collections import Counter

import dagster as dg

from prediction_assets.orchestration.assets.describing import FAN_OUT, OWNERS
from prediction_assets.slate.dead_letter import DeadLetter, common_cause
from prediction_assets.stores.protocols import BatchState, DeadLetters

_SHOWN = 100


@dg.asset(group_name=FAN_OUT, owners=OWNERS, kinds={"sqlite"}, deps=["staged_predictions"])
def dead_letters(
    context: dg.AssetExecutionContext,
    batch_state: dg.ResourceParam[BatchState],
    dead_letters: dg.ResourceParam[DeadLetters],
) -> dg.MaterializeResult:
    """Players who failed: one open dead letter each, until his rows are merged or the letter is discarded.

    A letter names the error, its digest (the same error from the same code has the same digest), the attempts, and the
    partition to materialize again. To replay players, fix the cause and materialize their partitions of
    `staged_predictions`, or run `prediction-assets dead-letters replay`. The sensors then merge and announce them.
    The UI plots `open_letters` and the count of each error class over time.
    """
    letters = dead_letters.letters()
    by_slate = Counter(letter.slate for letter in letters)
    by_class = Counter(letter.newest.error_class for letter in letters)
    causes = []
    for slate in by_slate:
        progress = batch_state.progress(slate)
        mine = [letter for letter in letters if letter.slate == slate]
        cause = common_cause(mine, len(progress.batch.expected)) if progress is not None else None
        if cause is not None:
            causes.append(f"{slate}: {cause.newest.error_class}: {cause.newest.message}")
    context.log.info("%d dead letters open on %d slates", len(letters), len(by_slate))
    return dg.MaterializeResult(
        metadata={
            "open_letters": len(letters),
            "slates": len(by_slate),
            **{f"open: {name}": count for name, count in sorted(by_class.items())},
            "common_causes": causes,
            "letters": dg.MetadataValue.table([_record(letter) for letter in letters[:_SHOWN]], _SCHEMA),
        }
    )


_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("partition", "string", "the partition of staged_predictions to materialize again"),
        dg.TableColumn("error", "string", "class of the newest error"),
        dg.TableColumn("message", "string", "text of the newest error"),
        dg.TableColumn("digest", "string", "the same error from the same lines of code has the same digest"),
        dg.TableColumn("attempts", "int", "attempts of all runs"),
        dg.TableColumn("first_seen", "string", "UTC"),
        dg.TableColumn("last_seen", "string", "UTC"),
        dg.TableColumn("run_id", "string", "the newest run that failed"),
    ]
)


def _record(letter: DeadLetter) -> dg.TableRecord:
    newest = letter.newest
    return dg.TableRecord(
        {
            "partition": str(newest.payload["partition_key"]),
            "error": newest.error_class,
            "message": newest.message,
            "digest": newest.traceback_digest,
            "attempts": letter.attempts,
            "first_seen": letter.first_seen.isoformat(timespec="seconds"),
            "last_seen": letter.last_seen.isoformat(timespec="seconds"),
            "run_id": newest.run_id,
        }
    )
