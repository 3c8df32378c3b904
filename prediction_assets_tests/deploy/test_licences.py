"""Each package of the image has a licence that we may ship."""

from __future__ import annotations

import re

from prediction_assets_tests.deploy.test_deploy import LOCKED
from prediction_assets_tests.deployment import DEPLOY
from prediction_assets_tests.licences import PAGE


def test_each_package_of_the_image_is_in_the_list_with_a_licence_that_is_no_strong_copyleft() -> None:
    listed = dict(re.findall(r"^\| ([\w.-]+) \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE))
    del listed["Package"]
    locked = {name for name, _ in LOCKED.findall((DEPLOY / "requirements.txt").read_text("utf-8"))}
    assert {name.replace(".", "-") for name in listed} - {"pip", "setuptools"} <= {
        n.replace(".", "-") for n in locked
    }
    assert len(locked - {*listed}) < 5, (
        "packages of other platforms alone aren't in the image; else run `make sbom`"
    )
    assert {name: said for name, said in listed.items() if re.search(r"\bA?GPL|Affero|unknown", said)} == {}
