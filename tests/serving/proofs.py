"""How much a proof proves: as much as fits into every run of the tests, or all of it (`make proofs`)."""

import os

IS_WHOLE = os.environ.get("PROOFS") == "whole"


def amount(*, usual: int, whole: int) -> int:
    """Of whatever a proof repeats."""
    return whole if IS_WHOLE else usual
