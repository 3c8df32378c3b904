"""The digest of an announced slate: its best bets, delivered once to where alerts go.

A digest is kept as an alert that is over from the start, so that the alerts' delivery sends it once, wherever a process
is killed. A revision that changes nothing of the text is kept as settled, and not sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from prediction_assets.board.values import Row, board_of
from prediction_assets.errors import one_line
from prediction_assets.monitoring.reader import Sources
from prediction_assets.slate.keys import GAME_TIME_ZONE, is_simulated, slate_key
from prediction_assets.slate.markets import counted
from prediction_assets.steps.ledger import read_rows
from prediction_assets.stores.alert import DIGEST, Alert, Severity
from prediction_assets.stores.protocols import AlertStore, Warehouse


def keep_digests(sources: Sources, alerts: AlertStore, slates: Iterable[str]) -> None:
    """Keep a digest of each slate from today on, of the newest revision that was delivered.

    The warehouse is opened once for each revision. ``digest_bets`` of 0 keeps none.
    """
    now, top = sources.clock.now(), sources.settings.digest_bets
    today = slate_key(now.astimezone(GAME_TIME_ZONE).date())
    for slate in slates if top else ():
        if slate < today:
            continue
        entries = sources.stores.outbox.entries(slate)
        delivered = sorted({each.revision for each in entries if each.delivery_id is not None}, reverse=True)
        if not delivered or _kept(alerts, slate, delivered[0]) is not None:
            continue
        new = digest(sources.stores.warehouse, slate, delivered[0], top, now)
        new = replace(new, board=sources.settings.board_link(slate))
        last = next((each for n in delivered[1:] if (each := _kept(alerts, slate, n)) is not None), None)
        if last is not None and last.line == new.line:
            new = replace(new, settled_at=now)
        alerts.change(new.key, lambda there, new=new: there or new)  # type: ignore[misc]
        if last is not None and last.settled_at is None and last.line != new.line:
            alerts.change(last.key, lambda there: there and replace(there, settled_at=now))


def digest(warehouse: Warehouse, slate: str, revision: int, top: int, now: datetime) -> Alert:
    """Return the digest of a revision: how many bets it has, and the best of them, a line each."""
    receipt, rows = read_rows(warehouse, slate, revision=revision)
    bets = board_of(receipt, rows, form={}).bets
    simulated = " (simulated)" if is_simulated(receipt.league) else ""
    count = f"{len(bets)} bet{'' if len(bets) == 1 else 's'}{simulated}"
    return Alert(
        key=_key(slate, revision),
        severity=Severity.INFO,
        line="\n".join([count, *map(_line, bets[:top])]),
        link="",
        command=f"prediction-assets predictions --slate {slate} --bets",
        slate=slate,
        opened_at=now,
        recovered_at=now,
    )


def _line(bet: Row) -> str:
    return one_line(
        f"{bet['player_name']} {bet['recommendation']} {float(bet['line']):g}{counted(bet['market'])}, "
        f"{bet['bet_price']:+d} at {bet['bet_bookmaker']}, expected value {bet['expected_value']:.3f}"
    )


def _key(slate: str, revision: int) -> str:
    return f"{DIGEST}:{slate}:{revision}"


def _kept(alerts: AlertStore, slate: str, revision: int) -> Alert | None:
    return alerts.change(_key(slate, revision), lambda there: there)
