"""Loss and score of a network in training, epoch by epoch."""

from collections.abc import Sequence
from math import nan

from torch import nn

from landscape.data import batches
from landscape.distributed.launch import own
from landscape.distributed.ranks import ALONE, Alone
from landscape.network.batch import Batch, Logits, LossFn
from landscape.objective.empirical_risk import risk_of
from landscape.objective.evaluation import Evaluator
from landscape.objective.objective import Objective
from landscape.objective.out_of_memory import OutOfMemoryRetry


class PlainEvaluation:
    """Evaluate a model in eval mode on parts of the data.

    size: examples of a batch. logits: as an objective takes them. Each part is checked as an
    objective is, the first time alone: the checks cost several evaluations. ranks: those that share
    out the batches, where there are enough for each.
    """

    def __init__(
        self, model: nn.Module, size: int, logits: Logits | None = None, ranks: Alone = ALONE
    ):
        self._model, self._size, self._logits, self._ranks = model, size, logits, ranks
        self._checked: set[str] = set()

    def __call__(self, part: str, examples: Batch, loss: LossFn) -> tuple[float, float]:
        """Loss and score on a part of the data, by its name; NaN on no examples."""
        if not examples.size:
            return float("nan"), float("nan")
        pieces, group = own(list(batches(examples, self._size)), self._ranks)
        if part not in self._checked:
            self._checked.add(part)
            objective = Objective(self._model, pieces, loss, logits=self._logits, group=group)
            return objective.value_and_accuracy()
        risk = risk_of(self._model, pieces, loss, group=group)
        plainly = Evaluator(risk, self._logits).plainly
        return OutOfMemoryRetry(risk)(lambda: plainly([risk.w])[0], [])

    def mean(self, part: str, groups: Sequence[Batch], loss: LossFn) -> tuple[float, float]:
        """Means of loss and accuracy over groups of examples that count equally; NaN for none."""
        pairs = [self(f"{part} {i}", examples, loss) for i, examples in enumerate(groups)]
        losses, accuracies = zip(*pairs, strict=True) if pairs else ([nan], [nan])
        return sum(losses) / len(losses), sum(accuracies) / len(accuracies)
