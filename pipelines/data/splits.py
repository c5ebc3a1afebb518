"""Which rows train, which choose between trials, which calibrate the choice, and which are looked at once, last."""

from dataclasses import dataclass, field

import numpy as np

from pipelines.data.table import Target
from pipelines.errors import UserError

FEWEST_ROWS = 10
SPLIT_STREAM = 0x5D1B  # any number; what is drawn here is drawn nowhere else
FOLD_STREAM = 0xF01D  # likewise


@dataclass(frozen=True)
class Split:
    """Row indices, ascending within a part; together all rows, each once."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    calibration: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def _generator(seed: int, stream: int = SPLIT_STREAM) -> np.random.Generator:
    # Apart from `default_rng(seed)`: a table that was drawn by it would be divided by its own first column.
    return np.random.default_rng([seed, stream])


def split_rows(
    n_rows: int,
    *,
    strata: np.ndarray | None,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    calibration_fraction: float = 0.0,
) -> Split:
    """Divide at random; with strata (class codes, [N]) every part has its share of each class."""
    generator = _generator(seed)
    key = generator.random(n_rows)
    if strata is not None:
        # Within a class the rows' ranks spread evenly over [0, 1), so every prefix of the order has its share.
        shuffled = np.argsort(key, kind="stable")
        by_class = shuffled[np.argsort(strata[shuffled], kind="stable")]
        sizes = np.bincount(strata)
        starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        rank = np.arange(n_rows) - starts
        key[by_class] = (rank + key[by_class]) / np.repeat(sizes, sizes)
    return _cut(key, validation_fraction, test_fraction, calibration_fraction)


def split_groups(
    groups: np.ndarray,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    calibration_fraction: float = 0.0,
) -> Split:
    """Divide at random so that rows of one group stay together; parts are as large as whole groups allow.

    Raises:
        UserError: too few rows, or fewer than three groups.
    """
    check_rows(len(groups))
    names, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 3:  # noqa: PLR2004  one a part
        raise UserError(f"data.group has {len(names)} different values; three parts need at least 3.")
    order = _generator(seed).permutation(len(names))
    rows_before = np.cumsum(sizes[order]) - sizes[order]
    n_test = max(1, int((rows_before < test_fraction * len(groups)).sum()))
    n_held_out = int((rows_before < (test_fraction + validation_fraction) * len(groups)).sum())
    # One large group must not leave another part empty.
    n_test = min(n_test, len(names) - 2)
    n_held_out = min(max(n_held_out, n_test + 1), len(names) - 1)
    n_wanted = rows_before[n_test] + calibration_fraction * sizes[order][n_test:n_held_out].sum()
    n_not_validation = n_test + int((rows_before + sizes[order] <= n_wanted)[n_test : n_held_out - 1].sum())
    test, calibration, validation, train = (
        np.flatnonzero(np.isin(group_of_row, part)) for part in np.split(order, [n_test, n_not_validation, n_held_out])
    )
    return Split(train, validation, test, calibration)


def split_time(
    times: np.ndarray, *, validation_fraction: float, test_fraction: float, calibration_fraction: float = 0.0
) -> Split:
    """From the newest rows to the oldest: test, calibration, validation, train; equal times keep the rows' order."""
    age = np.empty(len(times))
    age[np.argsort(times, kind="stable")[::-1]] = np.arange(len(times))
    return _cut(age, validation_fraction, test_fraction, calibration_fraction)


def fold_rows(n_rows: int, *, n_folds: int, strata: np.ndarray | None, seed: int) -> np.ndarray:
    """The fold of every row, [N]: at random, sizes differ by one at most; with strata so do those of each class.

    Raises:
        UserError: fewer rows than folds.
    """
    if n_rows < n_folds:
        raise UserError(f"data.folds={n_folds} needs at least {n_folds} rows beside the test part; there are {n_rows}.")
    order = _generator(seed, FOLD_STREAM).permutation(n_rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    folds = np.empty(n_rows, dtype=np.int64)
    folds[order] = np.arange(n_rows) % n_folds
    return folds


def fold_groups(groups: np.ndarray, *, n_folds: int, seed: int) -> np.ndarray:
    """The fold of every row, [N], so that rows of one group stay together.

    The largest groups are placed first, each where the fewest rows are: sizes are as even as whole groups allow.

    Raises:
        UserError: fewer groups than folds.
    """
    names, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < n_folds:
        raise UserError(
            f"data.group has {len(names)} different values beside the test part; data.folds={n_folds} needs one a fold "
            "at least. Use fewer folds."
        )
    shuffled = _generator(seed, FOLD_STREAM).permutation(len(names))
    fold_of_group = np.empty(len(names), dtype=np.int64)
    n_rows = np.zeros(n_folds, dtype=np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of_group[group] = n_rows.argmin()
        n_rows[fold_of_group[group]] += sizes[group]
    return fold_of_group[group_of_row]


def check_fold_classes(folds: np.ndarray, codes: np.ndarray, target: Target) -> None:
    """Raise a UserError when a fold holds all rows of a class: its member would never see one.

    Args:
        folds: of every row, [N].
        codes: class of every row, [N].
        target: names the classes.
    """
    for code, name in enumerate(target.classes):
        holders = np.unique(folds[codes == code])
        if len(holders) < 2:  # noqa: PLR2004  one to hold a row out, another to train with
            raise UserError(
                f"Column {target.name!r}: class {name!r} lies in {len(holders)} fold; each must be trained on where "
                "another is held out. Add rows of it, leave it out, or change data.split_seed."
            )


def check_classes(split: Split, codes: np.ndarray, target: Target) -> None:
    """Raise a UserError when a class has no row in the training part."""
    n_classes = len(target.classes)
    missing = np.flatnonzero(np.bincount(codes[split.train], minlength=n_classes) == 0)
    if not len(missing):
        return
    found = []
    for code in missing:
        places = {"validation": split.validation, "test": split.test}
        counts = {part: int((codes[rows] == code).sum()) for part, rows in places.items()}
        where = " and ".join(f"{count} in the {part} part" for part, count in counts.items() if count)
        found.append(f"{target.classes[code]!r} ({where})")
    raise UserError(
        f"Column {target.name!r}: no row of the training part has class {', '.join(found)}. "
        "Add rows of it, leave it out, or change data.split_seed."
    )


def _cut(key: np.ndarray, validation_fraction: float, test_fraction: float, calibration_fraction: float) -> Split:
    """Rows with the smallest keys are the test part, then calibration, then validation; no order within a part.

    The calibration part is taken from the validation part, which keeps a row at least.
    """
    n_rows = len(key)
    check_rows(n_rows)
    n_test = max(1, round(n_rows * test_fraction))
    n_validation = max(1, round(n_rows * validation_fraction))
    if n_test + n_validation >= n_rows:
        raise UserError(
            f"data.test_fraction={test_fraction} and data.validation_fraction={validation_fraction} of {n_rows} rows "
            f"are {n_test} and {n_validation}: none is left to train on. Make them smaller, or give more rows."
        )
    n_calibration = min(round(n_validation * calibration_fraction), n_validation - 1)
    cuts = [n_test, n_test + n_calibration, n_test + n_validation]
    part_of_row = np.empty(n_rows, dtype=np.int8)
    part_of_row[np.argpartition(key, cuts)] = np.repeat(np.arange(4), np.diff([0, *cuts, n_rows]))
    test, calibration, validation, train = (np.flatnonzero(part_of_row == part) for part in range(4))
    return Split(train, validation, test, calibration)


def check_rows(n_rows: int, *, origin: str = "The table", which: str = "") -> None:
    """Raise a UserError when there are too few rows; `which` says of which ones, if not of all, as " with a target"."""
    if n_rows < FEWEST_ROWS:
        counted = "1 row" if n_rows == 1 else f"{n_rows} rows"
        raise UserError(
            f"{origin} has {counted}{which}, too few to divide into train, validation and test: give at least "
            f"{FEWEST_ROWS}."
        )
