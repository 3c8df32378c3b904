"""The slate's picture: any counts become one well-formed image that shows them."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prediction_assets.orchestration.slate_picture import EDGE_BINS, SlateCounts, slate_picture

names = st.text("ab <>&\"'é-", min_size=1, max_size=12)
counts = st.dictionaries(names, st.integers(0, 10_000), max_size=8)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(
    st.builds(
        SlateCounts,
        title=names,
        outcomes=counts,
        rows_by_system=counts,
        lines=counts,
        edges=st.lists(st.integers(0, 500), min_size=EDGE_BINS, max_size=EDGE_BINS),
    )
)
def test_any_counts_are_well_formed_and_every_bar_stays_inside(shown):
    root = ElementTree.fromstring(slate_picture(shown))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for values in (shown.outcomes, shown.rows_by_system, shown.lines):
        assert set(values) <= set(texts)
        assert {f"{value:,}" for value in values.values()} <= set(texts)
    for bar in root.iter("{http://www.w3.org/2000/svg}rect"):
        if bar.attrib["width"] == "100%":
            continue
        x, y, w, h = (float(bar.attrib[name]) for name in ("x", "y", "width", "height"))
        assert min(x, y, w, h) >= 0
        assert x + w <= width
        assert y + h <= height


def test_a_slate_without_market_lines_says_so():
    drawn = slate_picture(SlateCounts("s", {}, {}, {"estimated": 3}, [0] * EDGE_BINS))
    assert "no market lines" in drawn
