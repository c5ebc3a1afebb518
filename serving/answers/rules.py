"""Which rules of the contract were used for a row: where a value is missing, or a label is new."""

from collections.abc import Mapping

import numpy as np

from serving.bundle import CategoricalColumn, Contract

MISSING, UNSEEN = "missing", "unseen"
Used = Mapping[int, dict[str, str]]  # row -> column -> MISSING or UNSEEN; rows without a rule are left out


class RuleFinder:
    """Finds the rules used by the rows of one model. Most requests use none, and must not pay for it.

    Args:
        contract: names the columns and their categories.
    """

    def __init__(self, contract: Contract) -> None:
        labels = [column for column in contract.columns if isinstance(column, CategoricalColumn)]
        self._known = {column.name: frozenset(column.categories) for column in labels}
        # Where training had no missing value, none comes this far.
        nullable = [column.name for column in contract.columns if column.nullable]
        self._numbers = tuple(name for name in nullable if name not in self._known)

    def find(self, columns: Mapping[str, np.ndarray]) -> Used:
        """The rules used.

        Args:
            columns: name -> [N]; float64 with NaN for missing, or strings with "" for missing.
        """
        used: dict[int, dict[str, str]] = {}
        if self._numbers:
            numbers = np.array([columns[name] for name in self._numbers])  # [C, N]
            least = numbers.min()  # NaN where one is
            if least != least:  # noqa: PLR0124  a NaN, and faster than NumPy's question
                for index, row in zip(*np.nonzero(np.isnan(numbers)), strict=True):
                    used.setdefault(int(row), {})[self._numbers[index]] = MISSING
        for name, known in self._known.items():
            labels = columns[name].tolist()
            if not known.issuperset(labels):
                for row, label in enumerate(labels):
                    if label not in known:
                        used.setdefault(row, {})[name] = UNSEEN if label else MISSING
        return used
