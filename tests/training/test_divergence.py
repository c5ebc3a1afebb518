"""What a member that diverged says."""

from dataclasses import replace

import numpy as np

from pipelines.data.encode import Features
from pipelines.training import fit
from tests.tables import linear, small_table, trial


def test_a_loss_that_is_finite_in_training_alone_is_told_as_the_validations() -> None:
    prepared, task = small_table()
    features = prepared.validation.features
    numbers = features.numbers.copy()
    numbers[0, 0] = np.inf
    validation = replace(prepared.validation, features=Features(numbers, features.codes))
    (member,) = fit([trial(model=linear())], replace(prepared, validation=validation), task)
    assert member.failure == (
        "Diverged in epoch 0 at learning rate 0.01: the validation loss is not finite; it never was. "
        "Try a smaller optimizer.lr."
    )
