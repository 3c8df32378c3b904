"""The slate's board: one HTML file in the home, which a person opens, and its copy where others do."""

import dagster as dg

from prediction_assets.board.copies import copy_board
from prediction_assets.board.page import board_page
from prediction_assets.board.values import read_board
from prediction_assets.orchestration.assets.describing import OWNERS, PUBLISHING, board_link
from prediction_assets.orchestration.partitions import SLATES
from prediction_assets.orchestration.run_tags import tag_run
from prediction_assets.settings import Settings
from prediction_assets.stores.local.files import replace_file
from prediction_assets.stores.protocols import Warehouse


@dg.asset(
    partitions_def=SLATES,
    group_name=PUBLISHING,
    owners=OWNERS,
    kinds={"html"},
    deps=["predictions", "phase5_completion"],
)
def slate_board(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """The slate on one page: bets by expected value, every player, what changed and why, who is missing, the record.

    Open `boards/<slate>.html` in the home, or its copy in `boards_copy`. It needs no server and no network. The message
    is out before it is written.
    """
    slate = context.partition_key
    board = read_board(warehouse, slate)
    tag_run(context, slate, board.receipt.batch_id)
    path = settings.board_file(slate)
    content = board_page(board).encode()
    replace_file(path, content)
    if settings.boards_copy:
        copy_board(settings.boards_copy, slate, content)
    context.log.info("slate %s: board of revision %d in %s", slate, board.receipt.revision, path)
    return dg.MaterializeResult(
        metadata={
            **board_link(settings, slate),
            "bets": len(board.bets),
            "players": len(board.players),
            "changed_players": None if board.changes is None else len(board.changes),
            "revision": board.receipt.revision,
            "receipt_hash": board.receipt.receipt_hash,
            "bytes": len(content),
        }
    )
