"""A network on its training and test data."""

from dataclasses import dataclass

from landscape.objective.objective import Objective

DATA_OF: dict[str, str] = {  # which examples answer what, unless the user says otherwise
    "eigenvalues": "train",
    "trace": "train",
    "spectral_density": "train",
    "relative_flatness": "train",
    "surface": "train",
    "profile": "train",
    "path": "train",
    "noise": "test",
    "quantization": "test",
    "pruning": "test",
    "worst_case": "test",
    "sharpness": "train",
}
# Other examples, asked at the same points.
BESIDE = {"surface": "test", "profile": "test", "path": "test", "noise": "train"}


@dataclass(frozen=True, eq=False)
class Subject:
    """A network on its training and test data, or on the same data in both places."""

    train: Objective
    test: Objective

    def objective(self, measure: str) -> Objective:
        """The objective that a measure is evaluated on."""
        return self.train if DATA_OF[measure] == "train" else self.test
