"""A network on its training and test data, and which measure looks at which of them."""

from collections.abc import Callable, Mapping

from torch import Tensor

from landscape.objective.objective import Objective

DATA_OF: dict[str, str] = {  # the examples that a measure is evaluated on
    "eigenvalues": "train",
    "trace": "train",
    "spectral_density": "train",
    "relative_flatness": "train",
    "rise_area": "train",
    "surface": "train",
    "profile": "train",
    "path": "train",
    "noise": "test",
    "quantization": "test",
    "pruning": "test",
    "worst_case": "test",
    "sharpness": "train",
    "critical_sharpness": "train",
    "adaptive_sharpness": "train",
    "pac_bayes": "train",
    "batch_eigenvalues": "train",
    "fisher_rao": "train",
    "calibration": "test",
}
# Other examples, evaluated at the same points.
BESIDE = {"surface": "test", "profile": "test", "path": "test", "noise": "train"}


class TrainTestObjective:
    """A network's objectives on its training and test data, or on the same data in both places.

    train, test: objectives, or functions that make them when they are first needed.
    """

    def __init__(
        self, train: Objective | Callable[[], Objective], test: Objective | Callable[[], Objective]
    ):
        self._makers: Mapping[str, Objective | Callable[[], Objective]]
        self._makers = {"train": train, "test": test}
        self._objectives: dict[str, Objective] = {}

    def on(self, split: str) -> Objective:
        """The objective on "train" or "test" data."""
        if split not in self._objectives:
            maker = self._makers[split]
            self._objectives[split] = maker if isinstance(maker, Objective) else maker()
        return self._objectives[split]

    @property
    def train(self) -> Objective:
        """The objective on the training data."""
        return self.on("train")

    @property
    def test(self) -> Objective:
        """The objective on the test data."""
        return self.on("test")

    @property
    def w(self) -> Tensor:
        """The network's weights, shape (n,)."""
        return self.train.w

    def objective(self, measure: str) -> Objective:
        """The objective that a measure is evaluated on."""
        return self.on(DATA_OF[measure])
