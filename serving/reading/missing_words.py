"""What stands for a missing value in CSV: one list, for training and for whatever reads CSV here.

MLflow's protocol has its own, that of MLflow (`protocols/mlflow_scoring`). Imports nothing, for training reads it too.
"""

from collections.abc import Collection

MISSING_WORDS = ("", "NA", "NaN", "nan", "N/A", "null", "NULL", "None", "?")


def missing_words(categories: Collection[str] = ()) -> frozenset[str]:
    """The words that are missing values in a column; one that it knows as a category is that category.

    Args:
        categories: of the column; a table trained from Parquet may have a real label "NA".
    """
    return frozenset(MISSING_WORDS) - (frozenset(categories) - {""})
