"""A trained model as one text: a JSON description of its fitted systems, and their arrays as ``npz``.

A description is a list of nodes (:mod:`.model_fields`). Reading runs no code and believes nothing: each kind of node
and each field is declared here with its limits, an array's bytes must be exactly what its described type and shape
need, and a digest covers everything. The digest finds damage, the limits also what was forged. What doesn't belong
here: training, and where a model is stored.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting import availability, gradient_boosting, matchup, minutes, similarity
from prediction_assets.nba.forecasting.availability import Availability
from prediction_assets.nba.forecasting.candidates import CELLS
from prediction_assets.nba.forecasting.ensemble import EnsembleMean
from prediction_assets.nba.forecasting.gradient_boosting import GradientBoosting
from prediction_assets.nba.forecasting.matchup import Matchup
from prediction_assets.nba.forecasting.minutes import Minutes
from prediction_assets.nba.forecasting.model_fields import (
    Array,
    Fields,
    Node,
    Number,
    Numbers,
    Reader,
    Refused,
    Writer,
    read_arrays,
)
from prediction_assets.nba.forecasting.moving_average import MovingAverage
from prediction_assets.nba.forecasting.network import Network
from prediction_assets.nba.forecasting.similarity import Similarity
from prediction_assets.nba.forecasting.spread import Spread
from prediction_assets.nba.forecasting.systems import Fitted, FittedSystem, stats_fitted, system_versions
from prediction_assets.nba.forecasting.trees import Trees

FORMAT = 1

LONGEST_DOCUMENT = 32 * 2**20
"""Characters. A model of 12,000 remembered games and 312 trees of 31 nodes has a million, and is read in 25 ms."""

MOST_NODES = 200
MOST_TREES = 2_000
MOST_UNITS = 1_024
MOST_TREE_NODES = 1_024
DEEPEST_TREE = 64


class ModelUnreadable(PredictionAssetsError):
    """A stored model is damaged, forged, or of another version of the systems."""

    def __init__(self, model_id: str, where: str, problem: str) -> None:
        super().__init__(
            f"model {model_id} can't be read: {where} {problem}; run `prediction-assets train`, then materialize "
            "player_features for the slate again"
        )


_FACTORS = Numbers(-10.0, 10.0, len(matchup.DEFAULT_EXPONENTS))
_POSITIONS = Array("<i2", 2, largest=MOST_TREE_NODES)

PARTS: Mapping[type, Fields] = {
    Trees: {
        "start": Number(-1e4, 1e4),
        "feature": Array("<i2", 2),
        "threshold": Array("<f8", 2, largest=1e12, infinite=True),
        "missing_left": Array("|b1", 2),
        "left": _POSITIONS,
        "right": _POSITIONS,
        "value": Array("<f8", 2, largest=1e4),
        "depth": Number(0, DEEPEST_TREE, is_whole=True),
    },
    Network: {
        "middle": Array("<f8", 1),
        "scale": Array("<f8", 1, largest=1e12),
        "hidden": Array("<f8", 2, largest=1e4),
        "bias": Array("<f8", 1, largest=1e4),
        "out": Array("<f8", 1, largest=1e4),
        "start": Number(-1e4, 1e4),
    },
    Minutes: {"trees": Node(lambda: (Trees,), is_optional=True)},
    Spread: {"coefficients": Numbers(0.0, 1e6, 3)},
    Availability: {
        "played": Array("<f8", 1, largest=1.0),
        "trees": Node(lambda: (Trees,)),
    },
    Fitted: {
        "mean": Node(lambda: tuple(MEANS)),
        "spread": Node(lambda: (Spread,)),
        "availability": Node(lambda: (Availability,), is_optional=True),
    },
}
"""What the means are made of."""

MEANS: Mapping[type, Fields] = {
    MovingAverage: {"half_life": Number(0.1, 1e3), "prior_games": Number(0.01, 1e3)},
    Matchup: {
        "level": Number(-5.0, 5.0),
        "exponents": _FACTORS,
        "minutes": Node(lambda: (Minutes,)),
        "trees": Node(lambda: (Trees,), is_optional=True),
    },
    Similarity: {
        "matchup": Node(lambda: (Matchup,)),
        "middle": Array("<f8", 1),
        "scale": Array("<f8", 1, largest=1e12),
        "past": Array("<f4", 2),
        "departure": Array("<f8", 1, largest=1e4),
    },
    GradientBoosting: {
        "matchup": Node(lambda: (Matchup,)),
        "correction": Node(lambda: (Trees, Network), is_optional=True),
        "lift": Number(-100.0, 100.0),
    },
    EnsembleMean: {"members": Node(lambda: tuple(MEANS), is_many=True), "weights": Numbers(0.0, 1.0)},
}
"""The fitted means; a new system's class is added here."""

KINDS: Mapping[type, Fields] = {**PARTS, **MEANS}
_BY_NAME = {kind.__name__: kind for kind in KINDS}


def pack(fitted: Mapping[str, FittedSystem]) -> str:
    """Return fitted systems as one line of ASCII; the same systems give the same text.

    Raises:
        PredictionAssetsError: a system is made of a class that isn't declared here.
    """
    writer, versions = Writer(KINDS), system_versions(stats_fitted(fitted))
    systems = {
        name: {"version": versions[name], "node": writer.node(system)} for name, system in fitted.items()
    }
    described = {"format": FORMAT, "systems": systems, "nodes": writer.nodes, "arrays": writer.described}
    whole = {**described, "npz": writer.npz()}
    return json.dumps({**whole, "sha256": _digest(whole)}, sort_keys=True, allow_nan=False)


def unpack(document: str, model_id: str) -> dict[str, FittedSystem]:
    """Return the fitted systems that :func:`pack` wrote; they forecast the same to the last bit.

    Args:
        model_id: named by the error.

    Raises:
        ModelUnreadable: a field is damaged or beyond its limits, or the systems aren't those of this version.
    """
    try:
        return _read(document)
    except Refused as refused:
        raise ModelUnreadable(model_id, refused.where, refused.problem) from refused


def _read(document: str) -> dict[str, FittedSystem]:
    if len(document) > LONGEST_DOCUMENT:
        raise Refused("document", f"has more than {LONGEST_DOCUMENT:,} characters")
    try:
        whole = json.loads(document, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused("document", f"is no JSON ({' '.join(str(error).split())})") from error
    fields = {"format": int, "systems": dict, "nodes": list, "arrays": dict, "npz": str, "sha256": str}
    if not isinstance(whole, dict) or whole.keys() != fields.keys():
        raise Refused("document", f"doesn't have the fields {', '.join(fields)}")
    for name, kind in fields.items():
        if type(whole[name]) is not kind:
            raise Refused(name, f"is no {kind.__name__}")
    if whole["format"] != FORMAT:
        raise Refused("format", f"is not {FORMAT}")
    if whole.pop("sha256") != _digest(whole):
        raise Refused("sha256", "isn't that of the document: it was damaged or edited")
    reader = Reader(read_arrays(whole["arrays"], whole["npz"]))
    if len(whole["nodes"]) > MOST_NODES:
        raise Refused("nodes", f"are more than {MOST_NODES}")
    for position, node in enumerate(whole["nodes"]):
        reader.nodes.append(_node(node, f"nodes[{position}]", reader))
    versions = system_versions(stats_fitted(whole["systems"]))
    if whole["systems"].keys() != versions.keys():
        raise Refused("systems", f"aren't {', '.join(versions)}")
    found = {}
    for name, version in versions.items():
        system, where = whole["systems"][name], f"systems.{name}"
        if not isinstance(system, dict) or system.keys() != {"version", "node"}:
            raise Refused(where, "doesn't have the fields version, node")
        if system["version"] != version:
            raise Refused(f"{where}.version", f"is not {version}")
        found[name] = cast("FittedSystem", reader.made(system["node"], where, (Fitted,)))
    return found


def _node(node: Any, where: str, reader: Reader) -> Any:
    if (
        not isinstance(node, dict)
        or node.keys() != {"kind", "fields"}
        or not isinstance(node["kind"], str)
        or node["kind"] not in _BY_NAME
    ):
        raise Refused(where, "is of no kind that a model may hold")
    kind = _BY_NAME[node["kind"]]
    fields = KINDS[kind]
    stored = node["fields"]
    if not isinstance(stored, dict) or stored.keys() != fields.keys():
        raise Refused(f"{where}.fields", f"aren't {', '.join(fields)}")
    values = {name: spec.read(stored[name], f"{where}.{name}", reader) for name, spec in fields.items()}
    made = kind(**values)
    if problem := _problem(made):
        raise Refused(where, problem)
    return made


def _problem(made: Any) -> str:
    """Return what is wrong between a node's fields, ``""`` if nothing is."""
    match made:
        case Trees():
            return _tree_problem(made)
        case Minutes():
            return _column_problem(made.trees, minutes.DESIGN_COLUMNS)
        case Matchup():
            return _column_problem(made.trees, matchup.DESIGN_COLUMNS)
        case GradientBoosting():
            return _column_problem(made.correction, gradient_boosting.DESIGN_COLUMNS)
        case Network():
            columns, units = made.hidden.shape
            fits = made.middle.shape == made.scale.shape == (columns,) and units <= MOST_UNITS
            fits = fits and made.bias.shape == made.out.shape == (units,)
            return "" if fits else f"doesn't have the weights of up to {MOST_UNITS} units"
        case Availability():
            cells = math.prod(CELLS)
            if made.played.shape != (cells,) or made.played.min() < 0:
                return f"doesn't have the shares of {cells} cells"
            return _column_problem(made.trees, availability.DESIGN_COLUMNS)
        case Similarity():
            columns, games = len(similarity.COLUMNS), len(made.departure)
            shapes = (made.middle.shape, made.scale.shape, made.past.shape)
            fits = shapes == ((columns,), (columns,), (columns, games))
            most = similarity.TRAINING_ROWS
            return "" if fits and 0 < games <= most else f"isn't {columns} columns of 1 to {most:,} games"
        case EnsembleMean():
            fits = len(made.members) == len(made.weights) and math.isclose(sum(made.weights), 1.0)
            return "" if fits else "doesn't have one weight for each member, with a sum of 1"
    return ""


def _column_problem(trees: Trees | Network | None, columns: int) -> str:
    if isinstance(trees, Network):
        return "" if len(trees.hidden) == columns else f"has a network that isn't of {columns} columns"
    fits = trees is None or int(trees.feature.max()) < columns
    return "" if fits else f"has trees that compare more than {columns} columns"


def _tree_problem(trees: Trees) -> str:
    shape = trees.feature.shape
    if any(
        array.shape != shape
        for array in (trees.threshold, trees.missing_left, trees.left, trees.right, trees.value)
    ):
        return "has arrays of different shapes"
    if not (1 <= shape[0] <= MOST_TREES and 1 <= shape[1] <= MOST_TREE_NODES):
        return f"isn't 1 to {MOST_TREES:,} trees of 1 to {MOST_TREE_NODES:,} nodes"
    if trees.feature.min() < 0:
        return "has a negative feature"
    own = np.arange(shape[1])
    is_leaf = (trees.left == own) & (trees.right == own)
    is_inner = (trees.left > own) & (trees.right > own) & (trees.left < shape[1]) & (trees.right < shape[1])
    # Children come after their parent, so no walk can be a circle, and one pass finds each node's depth.
    if not (is_leaf | is_inner).all():
        return "has a node whose children aren't nodes after it"
    depth = np.zeros(shape, dtype=np.int64)
    each = np.arange(shape[0])
    for node in range(shape[1]):
        for child in (trees.left[:, node], trees.right[:, node]):
            deeper = np.where(is_inner[:, node], depth[:, node] + 1, 0)
            depth[each, child] = np.maximum(depth[each, child], deeper)
    return "" if int(depth.max()) <= trees.depth else "has a leaf that is deeper than its depth"


def _digest(whole: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _no_number(spelled: str) -> float:
    raise ValueError(f"{spelled} is no finite number")
