"""The page with the licence of each package in the image, from the list of its software that ``make sbom`` writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "licences.md"

# Packages that declare none, by the file in each.
BY_THEIR_FILE = {
    "antlr4-python3-runtime": "BSD-3-Clause",
    "google-cloud-bigquery": "Apache-2.0",
    "protobuf": "BSD-3-Clause",
    "uritemplate": "BSD-3-Clause OR Apache-2.0",
}
_START = """# Licences

The licence of each package in the image, as the package declares it. `make sbom` writes this page, and
`build/sbom.json`: the image's packages with versions and licences, as CycloneDX.

| Package | Licence |
|---|---|
"""


def licence(component: dict[str, Any]) -> str:
    """Return what a package declares: a licence's id if it has one, else the words of its classifiers."""
    declared = [each.get("expression") or each["license"] for each in component.get("licenses", [])]
    ids = [each if isinstance(each, str) else each.get("id") for each in declared]
    words = [str(each.get("name")).split(" :: ")[-1] for each in declared if isinstance(each, dict)]
    return " AND ".join(filter(None, ids)) or ", ".join(words) or BY_THEIR_FILE[component["name"]]


def main(sbom: str) -> None:
    components = json.loads(Path(sbom).read_text("utf-8"))["components"]
    rows = sorted(
        (component["name"].lower().replace("_", "-"), licence(component)) for component in components
    )
    PAGE.write_text(_START + "".join(f"| {name} | {said} |\n" for name, said in rows), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
