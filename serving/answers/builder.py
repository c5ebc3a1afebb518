"""What one model can say beside its predictions: how certain it is, which rules were used, and what each column added.

Not here: how it is worded (`json_answers`, `tables`), and how a request asks for it (`options`).
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from serving.answers.conformal import intervals, label_sets, largest_coverage, least_rows
from serving.answers.json_answers import Answers
from serving.answers.options import COVERAGE, EXPLAIN, NO_OPTIONS, AnswerOptions, wrong_query
from serving.answers.rules import RuleFinder
from serving.answers.shapley import Explainer
from serving.errors import Detail, InvalidRequestError, TooManyRowsError
from serving.predictor import Predictor

DEFAULT_COVERAGE = 0.9  # of the interval around every value that is answered in JSON


class AnswerBuilder:
    """Builds the answers of one model from its predictions.

    Args:
        predictor: the model, with its contract.

    Attributes:
        largest_coverage: that its calibration rows allow; 0 where it was calibrated on none.
        most_explained: rows of one request; 0 where its contract has no background to explain against.

    Raises:
        BundleError: the contract's background cannot be predicted for.
    """

    def __init__(self, predictor: Predictor) -> None:
        contract = predictor.contract
        self._calibration = contract.calibration
        self._has_classes = bool(contract.target.classes)
        self._rules = RuleFinder(contract)
        self._explainer = Explainer(predictor) if contract.background else None
        self.largest_coverage = largest_coverage(contract.calibration.conformal) if contract.calibration else 0.0
        self.most_explained = self._explainer.most_rows if self._explainer else 0
        self._has_intervals = not self._has_classes and self.largest_coverage >= DEFAULT_COVERAGE
        self._defaults = AnswerOptions(coverage=DEFAULT_COVERAGE) if self._has_intervals else NO_OPTIONS

    def with_defaults(self, options: AnswerOptions) -> AnswerOptions:
        """The options, and what is said unasked in JSON: every value has an interval."""
        if options is NO_OPTIONS:
            return self._defaults
        is_unsaid = options.coverage is None and self._has_intervals
        return replace(options, coverage=DEFAULT_COVERAGE) if is_unsaid else options

    def check(self, options: AnswerOptions, n_rows: int) -> None:
        """See whether it can be said of so many rows.

        Raises:
            InvalidRequestError: the model cannot say it at all, or not at this coverage.
            TooManyRowsError: it can, of fewer rows.
        """
        if options.coverage is not None:
            self._check_coverage(options.coverage)
        if options.explain and self._explainer is None:
            said = "This version of the model was exported without rows to explain against. Train it again"
            raise wrong_query([Detail(path=["query", EXPLAIN], message=said)])
        if options.explain and n_rows > self.most_explained:
            detail = Detail(path=["query", EXPLAIN], message=f"{n_rows:,} rows, at most {self.most_explained:,}")
            raise TooManyRowsError(
                f"{self.most_explained:,} rows are explained at once. Send several requests.", [detail]
            )

    def build(self, columns: Mapping[str, np.ndarray], predictions: np.ndarray, options: AnswerOptions) -> Answers:
        """Say what is asked, and which rules were used.

        Args:
            columns: name -> [N], raw.
            predictions: for them, [N, P], finite.
            options: checked.

        Raises:
            InvalidRequestError: an explanation is not finite.
        """
        answers = Answers(predictions, rules=self._rules.find(columns))
        if options.coverage is not None and self._calibration is not None:
            answers = replace(answers, coverage=options.coverage)
            if self._has_classes:
                answers = replace(answers, sets=label_sets(self._calibration, predictions, options.coverage))
            else:
                answers = replace(answers, intervals=intervals(self._calibration, predictions, options.coverage))
        if options.explain and self._explainer is not None:
            explanation = self._explainer.explain(columns, predictions)
            if not all(np.isfinite(added).all() for added in explanation.contributions.values()):
                detail = Detail(path=["rows"], message="A number is too large to compute with")
                raise InvalidRequestError("There is no finite explanation.", [detail])
            answers = replace(answers, explanation=explanation)
        return answers

    def _check_coverage(self, coverage: float) -> None:
        if self._calibration is None:
            said = "This version of the model was exported without calibration rows (data.calibration_fraction)"
            raise wrong_query([Detail(path=["query", COVERAGE], message=f"{said}. Train it again")])
        if coverage > self.largest_coverage:  # exactly what the description says
            n_rows = self._calibration.conformal.rows
            n_needed = max(least_rows(coverage), n_rows + 1)
            most = math.floor(self.largest_coverage * 1000) / 1000
            said = f"It needs {n_needed:,} calibration rows, and this model has {n_rows:,}. Ask for at most {most}"
            raise wrong_query([Detail(path=["query", COVERAGE], message=said)])
