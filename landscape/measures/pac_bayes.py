"""PAC-Bayes flatness: the largest noise on the weights that the network bears.

Jiang, Neyshabur, Mobahi, Krishnan & Bengio, ICLR 2020 (arXiv 1912.02178); Dziugaite et al., NeurIPS
2020 (arXiv 2010.11924), whose code takes σ² for the standard deviation: its σ is the root of this.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.context import Progress, shows_progress, signature
from landscape.objective.objective import Objective
from landscape.records import PacBayesRecord
from landscape.utils import checks
from landscape.utils.memory import basis_bytes

FORMS = ("plain", "magnitude")
QUANTITIES = ("error", "loss")
SMALLEST, DOUBLINGS = 2.0**-14, 24  # of σ, up to 2**9
CLOSE = 0.02  # relative width of the final brackets
Rises = Callable[[float], np.ndarray]


@dataclass(frozen=True)
class PacBayes:
    """Largest σ with E[error(w + σ s ⊙ ξ)] − error(w) ≤ deviation, ξ ~ N(0, I); flatness is 1/σ².

    Two forms of the noise, in one record: "plain", N(0, σ²); and "magnitude", N(0, σ²w² + ε²). All
    trainable parameters are noisy; stored batch norm stays as it is. σ is bracketed by doubling and
    bisected to 2 %, on the same draws throughout, so that models of one shape are compared on one
    noise.

    deviation: allowed rise, of the error in [0, 1] or of the loss in its unit.
    quantity: "error", the share of wrong predictions; "loss".
    draws: samples of ξ, at least 2; with 10 their spread is most of the uncertainty.
    epsilon: ε of the magnitude-aware form.
    seed: of the draws.

    low, high: where mean ± t · standard error over the draws crosses the deviation: nominally 95 %,
    less where rises are skewed (of a quadratic 90 % with 10 draws, 93 % with 40). σ is 0 where
    the smallest that was tried, 2⁻¹⁴, costs more, and NaN where none up to 2⁹ does. `monotone` is
    false where the rise fell with a doubling, up to 8σ: the first crossing is taken.
    Cost: about (20 + doublings) · draws passes for each form.
    Raises ValueError for settings out of range, and for targets that are no classes with "error".

    Example: L(w) = (9 w₁² + w₂²)/2 at its minimum: E[rise] = 5σ², but for the draws.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.zeros(1, 2)
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> measure = ls.measures.PacBayes(quantity="loss", draws=200)
    >>> record = measure(ls.Objective(model, [batch], mse))
    >>> bool(record.low[0] < (0.1 / 5) ** 0.5 < record.high[0])
    True
    """

    deviation: float = 0.1
    quantity: str = "error"
    draws: int = 10
    epsilon: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.positive(deviation=self.deviation)
        checks.one_of(QUANTITIES, quantity=self.quantity)
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2, for an interval. Got {self.draws}.")
        checks.non_negative(epsilon=self.epsilon)

    @shows_progress
    def __call__(self, objective: Objective, *, progress: Progress | None = None) -> PacBayesRecord:
        """Search around the objective's point; `progress` counts levels, up to a limit."""
        clean = self._value(objective.value_and_accuracy())
        if math.isnan(clean):
            raise ValueError('The targets are no classes: set quantity="loss".')
        total, levels = len(FORMS) * (DOUBLINGS + 3 * 8), dict[tuple[str, float], np.ndarray]()

        noise = self._noise(objective.w)

        def rises(form: str, sigma: float) -> np.ndarray:
            if (form, sigma) not in levels:
                levels[form, sigma] = self._rises(objective, noise(), form, sigma, clean)
                if progress is not None:
                    progress(min(len(levels), total), total)
            return levels[form, sigma]

        columns = [self._search(partial(rises, form)) for form in FORMS]
        if progress is not None:
            progress(total, total)
        sigma, low, high, monotone = np.array(columns).T
        return PacBayesRecord(
            sigma=sigma, low=low, high=high, monotone=monotone.astype(bool), forms=FORMS,
            quantity=self.quantity, deviation=self.deviation, clean=clean,
            passes=len(levels) * self.draws,
            **signature(self, objective),
        )  # fmt: skip

    def _search(self, rises: Rises) -> tuple[float, float, float, bool]:
        """σ, the ends of its interval, and whether the mean rise grew with every doubling."""
        from scipy.special import stdtrit

        t = float(stdtrit(self.draws - 1, 0.975))

        def shifted(by: float) -> Callable[[float], float]:
            def curve(sigma: float) -> float:
                found = rises(sigma)
                spread = found.std(ddof=1) / self.draws**0.5
                return float(found.mean() + by * spread) if np.isfinite(found).all() else math.inf

            return curve

        mean = shifted(0.0)
        sigma = self._crossing(mean)
        low, high = (self._crossing(shifted(by)) for by in (t, -t))
        beyond = [mean(sigma_of(i)) for i in range(DOUBLINGS) if not sigma_of(i) > 8 * sigma]
        return sigma, low, high, bool((np.diff(beyond) >= 0).all())

    def _crossing(self, curve: Callable[[float], float]) -> float:
        """The σ up to which the curve stays within the deviation, in the middle of its bracket; 0
        where the smallest crosses, NaN where none does.
        """
        for i in range(DOUBLINGS):
            if curve(sigma_of(i)) > self.deviation:
                break
        else:
            return math.nan
        if i == 0:
            return 0.0
        low, high = sigma_of(i - 1), sigma_of(i)
        while high - low > CLOSE * high:
            middle = (low + high) / 2
            low, high = (low, middle) if curve(middle) > self.deviation else (middle, high)
        return (low + high) / 2

    def _noise(self, w: Tensor) -> Callable[[], Iterable[Tensor]]:
        """Gives the draws, the same for all levels; kept on the device where they fit."""
        drawn = partial(probes.gaussians, w, self.draws, self.seed)
        if self.draws * w.nbytes > basis_bytes(w.device):
            return drawn
        kept = list(drawn())
        return lambda: kept

    def _rises(
        self, objective: Objective, noise: Iterable[Tensor], form: str, sigma: float, clean: float
    ) -> np.ndarray:
        """The quantity at each draw of the noise less that at w, (draws,)."""
        w = objective.w
        unit = sigma * torch.ones_like(w)
        if form == "magnitude":
            unit = ((sigma * w).square() + self.epsilon**2).sqrt()
        points = (torch.addcmul(w, unit, xi) for xi in noise)
        answers = objective.evaluate(points, expected=40 * self.draws)
        return np.array([self._value(answer) for answer in answers]) - clean

    def _value(self, answer: tuple[float, float]) -> float:
        return answer[0] if self.quantity == "loss" else 1.0 - answer[1]


def sigma_of(doubling: int) -> float:
    """The level of the scan after so many doublings."""
    return SMALLEST * 2.0**doubling
