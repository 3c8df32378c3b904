"""Which refusals an operator may accept."""

from __future__ import annotations

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.slate.audits import AUDITS, require_acceptable

ACCEPTABLE = [audit.name for audit in AUDITS if audit.is_blocking and not audit.not_acceptable]
NEVER = [audit.name for audit in AUDITS if audit.not_acceptable]
WARNING = [audit.name for audit in AUDITS if not audit.is_blocking]


def test_refusals_are_accepted_with_their_reasons():
    assert ACCEPTABLE
    accepted = dict.fromkeys(ACCEPTABLE, "an exhibition")
    assert require_acceptable(accepted) == accepted
    assert require_acceptable({}) == {}


@pytest.mark.parametrize(
    ("name", "because", "said"),
    [
        ("no_such_audit", "why", "'no_such_audit' is no blocking audit"),
        *((name, "why", f"'{name}' is no blocking audit") for name in WARNING),
        *((name, "why", f"{name} can't be accepted: ") for name in NEVER),
        (ACCEPTABLE[0], "", f"no reason is given for accepting {ACCEPTABLE[0]}"),
        (ACCEPTABLE[0], " \n", f"no reason is given for accepting {ACCEPTABLE[0]}"),
    ],
)
def test_what_can_not_be_accepted_is_refused(name, because, said):
    with pytest.raises(BadInput, match=said):
        require_acceptable({name: because})
