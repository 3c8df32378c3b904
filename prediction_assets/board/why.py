"""Why a player's rows are what they are: from the facts to the message, each step with its id. It only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import pyarrow.compute as pc

from prediction_assets.board.values import SYSTEM
from prediction_assets.errors import BadInput
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.markets import MARKETS, POINTS
from prediction_assets.slate.outcome import PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.ledger import read_rows
from prediction_assets.stores.profiles import Stores


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way from facts to message."""

    name: str  # facts, outcome, part, receipt, revision, rows or message
    id: str  # what identifies it in its store, '' if it isn't there
    says: Sequence[str]  # what it says of the player, a line each


@dataclass(frozen=True, slots=True)
class Why:
    """The steps of one player on one slate, in their order."""

    slate: str
    player_slug: str
    league: str
    steps: Sequence[Step]


def read_why(stores: Stores, slate: str, slug: str) -> Why:
    """Return the steps of a player.

    Raises:
        BadInput: he isn't expected on the slate, and no receipt of it names him; the error names similar slugs.
    """
    progress, receipts = stores.batch_state.progress(slate), stores.warehouse.receipts(slate)
    outcome = progress.outcomes.get(slug) if progress is not None else None
    _require_known(slate, slug, progress, receipts)
    receipt, entry = _merged(receipts, slug)
    league = progress.batch.league if progress is not None else receipts[-1].league
    steps = [*_steps(outcome, receipt, entry)]
    if receipt is not None:
        steps.append(_rows(stores, receipts[-1], slug))
        steps.append(_message(receipts[-1], stores.outbox.entries(slate)))
    return Why(slate, slug, league, steps)


def _require_known(slate: str, slug: str, progress: Progress | None, receipts: Sequence[Receipt]) -> None:
    expected = [player.slug for player in progress.batch.expected] if progress is not None else []
    named = {each["player_slug"] for receipt in receipts for each in (*receipt.parts, *receipt.missing)}
    known = sorted({*expected, *named})
    if slug in known:
        return
    if not known:
        raise BadInput(
            "--slate", f"{slate} has no batch and no receipt", hint=f"prediction-assets run --slate {slate}"
        )
    similar = ", ".join(get_close_matches(slug, known)) or f"for example {known[0]}"
    raise BadInput("--player", f"{slug!r} isn't expected on {slate}", hint=similar)


def _merged(receipts: Sequence[Receipt], slug: str) -> tuple[Receipt | None, Mapping[str, Any]]:
    """Return the newest receipt that merged a part of him, or says that he is missing, and what it says."""
    for receipt in reversed(receipts):
        for entry in (*receipt.parts, *receipt.missing):
            if entry["player_slug"] == slug:
                return receipt, entry
    return None, {}


def _steps(
    outcome: PlayerOutcome | None, receipt: Receipt | None, entry: Mapping[str, Any]
) -> Iterator[Step]:
    basis = asdict(outcome.basis) if outcome is not None and outcome.basis else entry.get("basis") or {}
    version = outcome.facts_version if outcome is not None else receipt.facts_version if receipt else 0
    yield Step("facts", f"version {version}", [*_facts(basis)])
    if outcome is None:
        yield Step("outcome", "", ["batch state has none"])
    else:
        reason = f": {outcome.reason}" if outcome.reason else ""
        settled = f"{outcome.outcome.value}{reason}, {outcome.recorded_at:%Y-%m-%d %H:%M:%S}Z"
        yield Step("outcome", f"fence {outcome.fence}", [settled, f"by run {outcome.run_id}"])
        if outcome.part is not None:
            part = outcome.part
            yield Step("part", part.part_id, [f"{part.rows} rows, content {part.content_hash}"])
    if receipt is None:
        yield Step("receipt", "", ["nothing of him is merged yet"])
        return
    causes = "; ".join(entry.get("causes", ()))
    newer = outcome is not None and outcome.part is not None and outcome.part.part_id != entry.get("part_id")
    yield Step(
        "receipt",
        receipt.receipt_id,
        [
            f"part {entry['part_id']}" if "part_id" in entry else f"{entry['outcome']}: {entry['reason']}",
            f"why: {causes or 'first merged, or nothing that he is made from changed'}",
            f"hash {receipt.receipt_hash}",
            *(["the part above is newer: the next consolidation merges it"] if newer else []),
        ],
    )
    yield Step("revision", str(receipt.revision), [f"merged {receipt.consolidated_at:%Y-%m-%d %H:%M:%S}Z"])


def _facts(basis: Mapping[str, str]) -> Iterator[str]:
    if not basis:
        yield "what he was made from isn't recorded"
        return
    line = f"{basis['line']} of {basis['bookmaker']}" if basis["line"] else "none"
    yield f"line {line}, offers {basis['offers'] or 'none'}"
    yield f"injury report: {basis['injury'] or 'not in it'}"
    yield f"game {basis['game_id'] or 'none'} against {basis['opponent']}, tip-off {basis['tip_off'] or 'unknown'}"
    yield f"features {basis['features'] or 'none'}, model {basis['model'] or 'fitted on past games'}"


def _rows(stores: Stores, newest: Receipt, slug: str) -> Step:
    _, rows = read_rows(stores.warehouse, newest.slate, revision=newest.revision)
    mine = rows.filter(pc.equal(rows["player_slug"], slug)).to_pylist()
    main_rows = {row["market"]: row for row in mine if row["system"] == SYSTEM and row["line_offset"] == 0}
    if not main_rows:
        return Step("rows", "", ["none is in force"])
    main = main_rows.get(POINTS.name) or next(iter(main_rows.values()))
    return Step(
        "rows",
        main["content_hash"],
        [
            f"{len(mine)} in force as revision {newest.revision}; this one is {SYSTEM}'s at the main line",
            *(_said(main_rows[market]) for market in MARKETS if market in main_rows),
            f"inserted by receipt {main['receipt_id']}",
        ],
    )


def _said(row: Mapping[str, Any]) -> str:
    value = "" if row["expected_value"] is None else f", expected value {row['expected_value']:.3f}"
    return (
        f"{row['predicted_points']:.1f} {MARKETS[row['market']].label}, line {float(row['line']):g}, "
        f"P(over) {row['probability_over']:.3f}, {row['recommendation']}{value}"
    )


def _message(newest: Receipt, entries: Sequence[OutboxEntry]) -> Step:
    entry = next((each for each in reversed(entries) if each.revision == newest.revision), None)
    if entry is None:
        return Step("message", "", [f"revision {newest.revision} has none yet"])
    delivered = (
        "not delivered yet"
        if entry.delivered_at is None
        else f"delivered {entry.delivered_at:%Y-%m-%d %H:%M:%S}Z"
    )
    acknowledged = (
        "not acknowledged"
        if entry.acknowledged_at is None
        else f"acknowledged {entry.acknowledged_at:%Y-%m-%d %H:%M:%S}Z"
    )
    return Step("message", entry.message_id, [f"revision {entry.revision}, {delivered}, {acknowledged}"])
