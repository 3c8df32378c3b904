"""A model as text: it forecasts the same when read, and what is damaged or forged is refused by its field."""

from __future__ import annotations

import base64
import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting import (
    availability,
    gradient_boosting,
    matchup,
    minutes,
    model_document,
    similarity,
)
from prediction_assets.nba.forecasting.availability import Availability
from prediction_assets.nba.forecasting.candidates import COLUMNS
from prediction_assets.nba.forecasting.ensemble import EnsembleMean
from prediction_assets.nba.forecasting.features import conform
from prediction_assets.nba.forecasting.gradient_boosting import GradientBoosting
from prediction_assets.nba.forecasting.matchup import Matchup
from prediction_assets.nba.forecasting.minutes import Minutes
from prediction_assets.nba.forecasting.model import Model
from prediction_assets.nba.forecasting.model_document import ModelUnreadable, pack, unpack
from prediction_assets.nba.forecasting.moving_average import MovingAverage
from prediction_assets.nba.forecasting.network import Network
from prediction_assets.nba.forecasting.rows import Rows
from prediction_assets.nba.forecasting.similarity import Similarity
from prediction_assets.nba.forecasting.spread import Spread
from prediction_assets.nba.forecasting.systems import Fitted, FittedSystem
from prediction_assets.nba.forecasting.trees import Trees
from prediction_assets_tests.contract.nba.conftest import forecast_with

Snapshot = tuple[pa.Table, pa.Table]
Systems = Mapping[str, FittedSystem]
Document = dict[str, Any]


def same(one: Systems, other: Systems, players: pa.Table) -> bool:
    """Return whether two models forecast the same, to the last bit."""
    before, after = forecast_with(one, players), forecast_with(other, players)
    return before.keys() == after.keys() and all(
        np.array_equal(before[name].mean, after[name].mean)
        and np.array_equal(before[name].standard_deviation, after[name].standard_deviation)
        for name in before
    )


def test_a_model_read_back_forecasts_the_same_to_the_last_bit(
    league_snapshot: Snapshot, model: Model
) -> None:
    document = pack(model.fitted)
    assert document.isascii()
    assert same(unpack(document, "m"), model.fitted, league_snapshot[1])


def test_the_same_rows_lead_to_the_same_document(model: Model, refitted: Systems) -> None:
    assert pack(refitted) == pack(model.fitted)


def test_systems_that_shared_a_fit_share_it_again(model: Model) -> None:
    found: Any = unpack(pack(model.fitted), "m")
    assert found["ensemble"].mean.members[1] is found["matchup"].mean
    assert found["similarity"].mean.matchup is found["matchup"].mean


def test_the_declared_columns_are_those_of_the_designs(league_snapshot: Snapshot) -> None:
    rows = Rows(conform(league_snapshot[1]))
    assert minutes.minutes_design(rows).shape[1] == minutes.DESIGN_COLUMNS
    assert matchup._design(rows).shape[1] == matchup.DESIGN_COLUMNS
    assert gradient_boosting._design(rows).shape[1] == gradient_boosting.DESIGN_COLUMNS
    rows.attach(dict.fromkeys(COLUMNS, np.ones(len(rows))))
    assert availability._design(rows).shape[1] == availability.DESIGN_COLUMNS


def two_leaves() -> Trees:
    """Return one tree that separates the rows by their first column."""
    return Trees(
        start=0.25,
        feature=np.zeros((1, 3), np.int16),
        threshold=np.array([[3.0, np.inf, 0.0]]),
        missing_left=np.array([[True, False, False]]),
        left=np.array([[1, 1, 2]], np.int16),
        right=np.array([[2, 1, 2]], np.int16),
        value=np.array([[0.0, -0.5, 0.5]]),
        depth=1,
    )


@pytest.fixture(scope="module")
def small() -> dict[str, FittedSystem]:
    """Return systems with every kind of node, as small as they can be."""
    matched = Matchup(0.0, matchup.DEFAULT_EXPONENTS, Minutes(two_leaves()), two_leaves())
    columns = len(similarity.COLUMNS)
    similar = Similarity(
        matched,
        np.zeros(columns),
        np.ones(columns),
        np.ones((columns, 3), np.float32),
        np.array([-1.0, 0, 1]),
    )
    boosted = GradientBoosting(matched, two_leaves(), 0.5)
    means = (MovingAverage(6.0, 2.0), matched, similar, boosted)
    names = ("moving_average", "matchup", "similarity", "gradient_boosting", "ensemble")
    wide = gradient_boosting.DESIGN_COLUMNS
    units = Network(
        np.zeros(wide), np.ones(wide), np.ones((wide, 2)), np.zeros(2), np.array([0.1, -0.1]), 0.5
    )
    every = (*means, EnsembleMean((*means, GradientBoosting(matched, units, 0.5)), (0.2,) * 5))
    absences = Availability(np.full(252, 0.5), two_leaves())
    return {name: Fitted(mean, Spread(), absences) for name, mean in zip(names, every, strict=True)}


@pytest.fixture(scope="module")
def document(small: dict[str, FittedSystem]) -> str:
    return pack(small)


def test_every_kind_of_node_is_read_back(small: Systems, document: str, league_snapshot: Snapshot) -> None:
    assert {node["kind"] for node in json.loads(document)["nodes"]} == {
        kind.__name__ for kind in (*model_document.PARTS, *model_document.MEANS)
    }
    assert same(unpack(document, "m"), small, league_snapshot[1])


def test_of_200_flipped_bits_none_is_read_as_another_model(
    small: Systems, document: str, league_snapshot: Snapshot
) -> None:
    draw, refused = random.Random(20260102), 0
    for _ in range(200):
        damaged = bytearray(document.encode())
        bit = draw.randrange(len(damaged) * 8)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = unpack(damaged.decode("latin-1"), "m")
        except ModelUnreadable:
            refused += 1
        else:  # the text means the same: a space became another one, or a digit one that rounds to it
            assert same(found, small, league_snapshot[1]), f"bit {bit}"
    assert refused > 190


def test_a_text_that_ends_early_is_refused_wherever_it_ends(document: str) -> None:
    for length in (*range(0, len(document), 7), len(document) - 1):
        with pytest.raises(ModelUnreadable):
            unpack(document[:length], "m")


def forged(document: str, change: Callable[[Document], object]) -> str:
    """Return the document after a change by somebody who knows how it is made: with the digest of what it says now."""
    whole = json.loads(document)
    del whole["sha256"]
    change(whole)
    return json.dumps({**whole, "sha256": model_document._digest(whole)})


def unpacked(whole: Document) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(base64.b64decode(whole["npz"])), allow_pickle=False) as file:
        return dict(file)


def replace_array(whole: Document, name: str, array: np.ndarray, *, described: bool = True) -> None:
    arrays = {**unpacked(whole), name: array}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    whole["npz"] = base64.b64encode(file.getvalue()).decode()
    if described:
        whole["arrays"][name] = {"dtype": array.dtype.str, "shape": list(array.shape)}


def node(whole: Document, kind: str) -> Document:
    """Return the fields of the first node of a kind."""
    found: Document = next(each["fields"] for each in whole["nodes"] if each["kind"] == kind)
    return found


def of_shares(array: np.ndarray) -> Callable[[Document], None]:
    """Return a change of the shares who played."""
    return lambda whole: replace_array(whole, node(whole, "Availability")["played"], array)


def of_trees(name: str, array: np.ndarray) -> Callable[[Document], None]:
    """Return a change of an array of the first trees."""
    return lambda whole: replace_array(whole, node(whole, "Trees")[name], array)


def of_network(name: str, shape: tuple[int, ...]) -> Callable[[Document], None]:
    """Return a change of the shape of an array of the network."""
    return lambda whole: replace_array(whole, node(whole, "Network")[name], np.ones(shape))


def a_small_network(whole: Document) -> None:
    for name, shape in (("middle", (1,)), ("scale", (1,)), ("hidden", (1, 2))):
        of_network(name, shape)(whole)


def setting(kind: str, name: str, value: object) -> Callable[[Document], None]:
    """Return a change of a field of the first node of a kind."""
    return lambda whole: node(whole, kind).update({name: value})


def zip_of(members: Mapping[str, bytes]) -> str:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return base64.b64encode(file.getvalue()).decode()


def a_pickle_in_an_array(whole: Document) -> None:
    replace_array(whole, "a0", np.array([print], dtype=object), described=False)


def a_pickle_as_the_file(whole: Document) -> None:
    whole["npz"] = base64.b64encode(pickle.dumps(print)).decode()


def a_bomb(whole: Document) -> None:
    """The first member has 40 MB of zeros in 40 kB; each is described as what it was."""
    content = bytes(40 * 2**20)
    whole["npz"] = zip_of({f"{name}.npy": content for name in list(whole["arrays"])[:1]} | {
        f"{name}.npy": b"" for name in list(whole["arrays"])[1:]})  # fmt: skip


def a_huge_header(whole: Document) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**20)}
    )
    whole["npz"] = zip_of({f"{name}.npy": file.getvalue() for name in whole["arrays"]})


def a_huge_shape(whole: Document) -> None:
    a_huge_header(whole)
    whole["arrays"] = {name: {"dtype": "<f8", "shape": [2**26, 2**26]} for name in whole["arrays"]}


F8, I2 = np.dtype("<f8"), np.dtype("<i2")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("arrays.a0", a_pickle_in_an_array),
        ("npz", a_pickle_as_the_file),
        ("arrays.a", a_bomb),
        ("arrays.a0", a_huge_header),
        ("arrays need more than", a_huge_shape),
        ("arrays.a0.shape", lambda whole: whole["arrays"]["a0"].update(shape=[2**63])),
        ("arrays.a0.shape", lambda whole: whole["arrays"]["a0"].update(shape=[-1, -3])),
        ("arrays.a0.shape", lambda whole: whole["arrays"]["a0"].update(shape=[True, 3])),
        ("arrays.a0.dtype", lambda whole: whole["arrays"]["a0"].update(dtype="|O")),
        ("arrays.a0.dtype", lambda whole: whole["arrays"]["a0"].update(dtype=["<f8"])),
        ("npz doesn't have", lambda whole: whole["arrays"].pop("a0")),
        ("npz", lambda whole: whole.update(npz="not base64!")),
        ("npz", lambda whole: whole.update(npz="")),
        ("feature is no <i2", of_trees("feature", np.zeros((1, 3), F8))),
        ("value is no <f8", of_trees("value", np.zeros(3, F8))),
        ("value has a value", of_trees("value", np.array([[0.0, np.nan, 1.0]]))),
        ("value has a value", of_trees("value", np.array([[0.0, np.inf, 1.0]]))),
        ("threshold has a value", of_trees("threshold", np.array([[np.nan, 0.0, 0.0]]))),
        ("trees that compare more", of_trees("feature", np.array([[1_000, 0, 0]], I2))),
        ("a negative feature", of_trees("feature", np.array([[-1, 0, 0]], I2))),
        ("children aren't", of_trees("left", np.array([[0, 1, 2]], I2))),
        ("children aren't", of_trees("right", np.array([[3, 1, 2]], I2))),
        ("children aren't", of_trees("right", np.array([[2, 0, 2]], I2))),
        ("children aren't", of_trees("left", np.array([[-1, 1, 2]], I2))),
        ("different shapes", of_trees("value", np.zeros((2, 3), F8))),
        ("deeper than its depth", setting("Trees", "depth", 0)),
        ("depth is no number", setting("Trees", "depth", 10**400)),
        ("depth is no number", setting("Trees", "depth", 1.5)),
        ("start is no number", setting("Trees", "start", "0.1")),
        ("start is no number", setting("Trees", "start", True)),
        ("half_life is no number", setting("MovingAverage", "half_life", 0.0)),
        ("exponents is no list", setting("Matchup", "exponents", [0.1])),
        ("coefficients is no number", setting("Spread", "coefficients", [1e300, 0, 0])),
        ("weights is no number", setting("EnsembleMean", "weights", [-1.0, 1.0, 0.5, 0.5])),
        ("one weight for each", setting("EnsembleMean", "weights", [0.5, 0.5])),
        ("one weight for each", setting("EnsembleMean", "weights", [0.5, 0.5, 0.5, 0.5])),
        ("members is no list", setting("EnsembleMean", "members", [])),
        ("minutes names no earlier node", setting("Matchup", "minutes", 99)),
        ("minutes names no earlier node", setting("Matchup", "minutes", -1)),
        ("minutes names no Minutes", setting("Matchup", "minutes", 0)),
        ("minutes names no earlier node", setting("Matchup", "minutes", None)),
        ("departure names no array", setting("Similarity", "departure", "os.system")),
        ("the weights of up to 1024 units", of_network("out", (3,))),
        ("the weights of up to 1024 units", of_network("scale", (2,))),
        ("a network that isn't of", a_small_network),
        ("exceeds 1", of_shares(np.full(252, 1.5))),
        ("the shares of 252 cells", of_shares(np.full(251, 0.5))),
        ("the shares of 252 cells", of_shares(np.full(252, -0.5))),
        ("departure names no array", setting("Similarity", "departure", [1])),
        ("is of no kind", lambda whole: whole["nodes"][0].update(kind="os.system")),
        ("is of no kind", lambda whole: whole["nodes"].insert(0, "Trees")),
        ("fields aren't", lambda whole: whole["nodes"][0]["fields"].update(more=1)),
        ("nodes are more than", lambda whole: whole["nodes"].extend(whole["nodes"] * 40)),
        ("systems aren't", lambda whole: whole["systems"].pop("ensemble")),
        ("systems.ensemble.version", lambda whole: whole["systems"]["ensemble"].update(version="0")),
        ("systems.ensemble names no Fitted", lambda whole: whole["systems"]["ensemble"].update(node=0)),
        ("systems.matchup doesn't have", lambda whole: whole["systems"].update(matchup=3)),
        ("format is not", lambda whole: whole.update(format=99)),
        ("nodes is no list", lambda whole: whole.update(nodes={})),
        ("document doesn't have", lambda whole: whole.update(code="import os")),
    ],
)  # fmt: skip
def test_what_is_forged_is_refused_and_the_field_is_named(
    document: str, field: str, change: Callable[[Document], object]
) -> None:
    with pytest.raises(ModelUnreadable) as refused:
        unpack(forged(document, change), "0a1b")
    said = str(refused.value)
    assert said.startswith("model 0a1b can't be read: ")
    assert field in said
    assert "run `prediction-assets train`" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "null", "NaN", "[" * 100_000, '{"format": 1e999}', "9" * 5_000, "x" * (2**25 + 1)],
    ids=["empty", "words", "list", "null", "NaN", "deep", "infinite", "long number", "too long"],
)
def test_what_is_no_document_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ModelUnreadable, match="model m can't be read: document ") as refused:
        unpack(text, "m")
    assert len(str(refused.value)) < 300


def test_a_system_of_an_undeclared_class_can_t_be_stored(small: Systems) -> None:
    undeclared = Fitted(lambda rows: np.full(len(rows), 1.0), Spread())
    with pytest.raises(
        PredictionAssetsError, match="function can't be stored in a model; declare its fields"
    ):
        pack({**small, "ensemble": undeclared})
