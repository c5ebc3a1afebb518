"""What a search tells whoever measures it: one line of JSON, its last."""

import json
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True)
class Answer:
    """What came of a search.

    Attributes:
        best: validation loss of the best trial.
        trial_seconds: of every trial that ended well, alone: without the start of the command or of its workers.
        side_by_side: trials that were trained at the same time.
    """

    best: float
    trial_seconds: tuple[float, ...]
    side_by_side: int

    def tell(self) -> None:
        """Print it."""
        print(json.dumps(asdict(self)))

    def seconds_of_all(self, measured: float, n_trials: int) -> float:
        """What the command would take for more trials than it had: its own time, and the others' at its trials' pace.

        The start is counted once. What lies between two trials is not counted for the others, in the search's favour.

        Args:
            measured: seconds of the whole command.
            n_trials: that it should have had.
        """
        missing = n_trials - len(self.trial_seconds)
        return measured + missing / self.side_by_side * median(self.trial_seconds)


def read_answer(printed: str, *, n_trials: int) -> Answer:
    """The answer at the end of what a search printed.

    Raises:
        RuntimeError: there is none, or it tells of another number of trials; shows the end of what was printed.
    """
    last = printed.strip().rpartition("\n")[2]
    try:
        told = json.loads(last)
        answer = Answer(told["best"], tuple(told["trial_seconds"]), told["side_by_side"])
    except (ValueError, TypeError, KeyError) as error:
        raise RuntimeError(f"The search ended without an answer: {printed[-2000:]}") from error
    if len(answer.trial_seconds) != n_trials:
        raise RuntimeError(f"{len(answer.trial_seconds)} of {n_trials} trials ended well: {printed[-2000:]}")
    return answer
