"""Settings of the weights that a network starts from."""

import re
from dataclasses import dataclass, field

from landscape.utils.names import unknown

DIFFERENCES = ("missing", "left over", "shape")  # between a file of weights and a network


@dataclass(frozen=True)
class InitSettings:
    """Weights to start from.

    source: a file (safetensors, or torch's with weights only), a run's folder, or hf:NAME for a
    repository of the Hugging Face hub; "" for a network drawn by the seed.
    drop: regular expressions of whole names, as head.*: parts that are drawn by the seed instead.
    rename: regular expressions in the file's names, and what takes their place.
    allow: differences that are no errors, of missing, left over, shape; such parts are drawn.
    sha256: of the file, filled in where it is empty.
    """

    source: str = ""
    drop: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        for name in ("drop", "allow"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        for kind in self.allow:
            if kind not in DIFFERENCES:
                raise ValueError(unknown("init.allow", kind, DIFFERENCES))
        for pattern in (*self.drop, *self.rename):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"`init` takes regular expressions. Got {pattern!r}: {error}."
                ) from None
