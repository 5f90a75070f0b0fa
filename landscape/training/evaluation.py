"""Loss and accuracy of a network in training, epoch by epoch."""

from torch import nn

from landscape.data import batches
from landscape.network.batch import Batch, LossFn
from landscape.objective.evaluation import Evaluator
from landscape.objective.objective import Objective, risk_of
from landscape.objective.out_of_memory import OutOfMemoryRetry


class PlainEvaluation:
    """Evaluate a model in eval mode on parts of the data.

    size: examples of a batch. Each part is checked as an objective is, the first time alone: the
    checks cost several evaluations.
    """

    def __init__(self, model: nn.Module, size: int):
        self._model, self._size = model, size
        self._checked: set[str] = set()

    def __call__(self, part: str, examples: Batch, loss: LossFn) -> tuple[float, float]:
        """Loss and accuracy on a part of the data, by its name; NaN on no examples."""
        if not examples.size:
            return float("nan"), float("nan")
        pieces = batches(examples, self._size)
        if part not in self._checked:
            self._checked.add(part)
            return Objective(self._model, pieces, loss).value_and_accuracy()
        risk = risk_of(self._model, pieces, loss)
        plainly = Evaluator(risk).plainly
        return OutOfMemoryRetry(risk)(lambda: plainly([risk.w])[0], [])
