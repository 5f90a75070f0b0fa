"""F-SAM, GSAM, LookSAM, WSAM, SAM-ON on three problems of two weights, step by step.

Q1: L = (w₁² + 4 w₂²)/2 from (1, 1). Q2: the same with momentum 0.9 and decay 0.01. LOG: logistic
loss of two batches by turns. w₂ is the parameter of a normalisation layer. The values are those of
an independent program in float64; the twins below, of the papers' formulas on numpy vectors, give
the same ones.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.methods import ASAM, GSAM, SAM, SAMON, WSAM, FriendlySAM, LookSAM
from landscape.network.batch import Batch
from landscape.optim import wrap

# name: ((Q1 after step 1, step 3), (Q2 ...), (LOG ...)); None: as SAM
VALUES = {
    "sam": (
        ((0.89757464375, 0.56119429999), (0.71812192756, 0.14653048372)),
        ((0.89657464375, 0.56019429999), (0.46021038839, -0.63092715176)),
        ((0.54373419051, -0.21109038402), (0.58868379331, -0.13742547479)),
    ),
    "f-sam": (
        (None, (0.72833980530, 0.26586730945)),
        (None, (0.47741899783, -0.49476068021)),
        (None, (0.58356023298, -0.14785610831)),
    ),
    "f-sam, sigma 0.5": (
        (None, (0.71512623714, 0.22566385056)),
        (None, (0.45934719912, -0.58581012390)),
        (None, (0.58668194923, -0.13685560793)),
    ),
    "f-sam, m_0 = 0": (
        (None, (0.71634413781, 0.15191247188)),
        (None, (0.46373074355, -0.61441727002)),
        (None, (0.58831439294, -0.13746736360)),
    ),
    "gsam": (
        ((0.90009060789, 0.56060702749), (0.72714860650, 0.14345852592)),
        ((0.89909060789, 0.55960702749), (0.47467897275, -0.63000115857)),
        ((0.54322673117, -0.21052000256), (0.58686085170, -0.13621284893)),
    ),
    "gsam, fp False": (
        ((0.90273922588, 0.59931519353), (0.73903658311, 0.21236211145)),
        ((0.90173922588, 0.59831519353), (0.49439723749, -0.54496273979)),
        ((0.54050623142, -0.21539469196), (0.58340088608, -0.14805133686)),
    ),
    "looksam": (
        (None, (0.86844577870, 0.14650069783)),
        (None, (0.76143545073, -0.63916732450)),
        (None, (0.57385285299, -0.12088447673)),
    ),
    "wsam decoupled": (
        ((0.87817179375, 0.25074869995), (0.58280458629, 0.12580641187)),
        ((0.87717179375, 0.24974869995), (0.38398669636, -0.36180843004)),
        ((0.56527919428, -0.17148493583), (0.61563555511, -0.04362963274)),
    ),
    "wsam coupled": (
        ((0.87817179375, 0.25074869995), (0.58280458629, 0.12580641187)),
        ((0.87717179375, 0.24974869995), (0.30633332823, -1.06480085869)),
        ((0.56527919428, -0.17148493583), (0.61563555511, -0.04362963274)),
    ),
    "sam-on": (
        ((0.9, 0.56), (0.729, 0.1376)),
        ((0.899, 0.559), (0.48132449900, -0.61608644100)),
        ((0.54246334274, -0.20998824315), (0.58567924154, -0.13472734816)),
    ),
    "asam-on": (
        ((0.9, 0.5596), (0.729, 0.17486656)),
        ((0.899, 0.5586), (0.48132449900, -0.62694239340)),
        ((0.54140898444, -0.21445942372), (0.58539040306, -0.14618256218)),
    ),
}
METHODS = {
    "sam": lambda: SAM(rho=0.1),
    "f-sam": lambda: FriendlySAM(rho=0.1),
    "f-sam, sigma 0.5": lambda: FriendlySAM(rho=0.1, sigma=0.5),
    "gsam": lambda: GSAM(rho=0.1, alpha=0.4),
    "gsam, fp False": lambda: GSAM(rho=0.1, alpha=0.4, minimize_fp=False),
    "looksam": lambda: LookSAM(rho=0.1, k=2, alpha=0.7),
    "wsam decoupled": lambda: WSAM(rho=0.1, gamma=0.9),
    "wsam coupled": lambda: WSAM(rho=0.1, gamma=0.9, decouple=False),
    "sam-on": lambda: SAMON(rho=0.1),
    "asam-on": lambda: SAMON(rho=0.1, over=ASAM(eta=0.01)),
}
SIGNED = [  # batches A, B: s·x
    [[1.0, 2.0], [1.0, -1.0]],
    [[2.0, -1.0], [-0.5, 1.5]],
]
MOMENTUM = {"momentum": 0.9, "weight_decay": 0.01}
PROBLEMS = {"Q1": ((1.0, 1.0), {}), "Q2": ((1.0, 1.0), MOMENTUM), "LOG": ((0.5, -0.25), {})}


class ScaleNorm(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([start], dtype=torch.float64))


class TwoWeights(nn.Module):
    """Two tensors of one element, the second that of a normalisation layer."""

    def __init__(self, start):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([start[0]], dtype=torch.float64))
        self.norm = ScaleNorm(start[1])

    @property
    def w(self):
        return torch.cat([self.weight, self.norm.weight])


def loss(model, batch):
    if batch.y is not None:
        return 0.5 * (torch.tensor([1.0, 4.0], dtype=torch.float64) * model.w**2).sum()
    return F.softplus(-(batch.x @ model.w)).mean()


def steps(problem):
    if problem != "LOG":
        return [Batch(torch.zeros(1, 1), torch.zeros(1))] * 3
    return [Batch(torch.tensor(SIGNED[i], dtype=torch.float64), None) for i in (0, 1, 0)]


def expected(name, problem, step):
    i = list(PROBLEMS).index(problem)
    return VALUES[name][i][step] or VALUES["sam"][i][step]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", METHODS)
def test_values(name, problem):
    start, options = PROBLEMS[problem]
    model = TwoWeights(start)
    base = torch.optim.SGD(model.parameters(), lr=0.1, **options)
    stepper = wrap(METHODS[name](), model, base, loss)
    for i, batch in enumerate(steps(problem)):
        stepper.step(batch)
        if i != 1:
            value = expected(name, problem, 0 if i == 0 else 1)
            assert model.w.tolist() == pytest.approx(value, abs=1.01e-11), i


class Twin:
    """The formulas on numpy vectors, with torch's SGD written out; `step(i)` makes one."""

    def __init__(self, name, problem):
        (self.start, options), self.problem = PROBLEMS[problem], problem
        self.name, self.w, self.b, self.m, self.v = name, np.array(self.start), None, None, None
        self.mu, self.decay = options.get("momentum", 0.0), options.get("weight_decay", 0.0)

    def grad(self, w):
        if self.problem != "LOG":
            return np.array([1.0, 4.0]) * w
        x = np.array(SIGNED[self.i % 2])
        return -(x / (1 + np.exp(x @ w))[:, None]).mean(0)

    def base(self, g):
        q = g + self.decay * self.w
        self.b = q if self.b is None else self.mu * self.b + q
        return self.w - 0.1 * self.b

    def perturbation(self, g):
        M = np.array([0.0, 1.0])
        if self.name == "sam-on":
            return 0.1 * M * g / np.linalg.norm(M * g)
        if self.name == "asam-on":
            T = np.abs(self.w) + 0.01
            return 0.1 * T**2 * M * g / np.linalg.norm(T * M * g)
        if self.name.startswith("f-sam"):
            sigma = 0.5 if "0.5" in self.name else 1.0
            if "m_0" in self.name:
                self.m = 0.1 * g if self.m is None else 0.9 * self.m + 0.1 * g
                d = g - self.m
            else:
                d = g if self.m is None else g - sigma * self.m
                self.m = g if self.m is None else 0.9 * self.m + 0.1 * g
            return 0.1 * d / np.linalg.norm(d)
        return 0.1 * g / np.linalg.norm(g)

    def step(self, i):
        self.i, w = i, self.w
        g = self.grad(w)
        G = self.grad(w + self.perturbation(g))
        if self.name == "gsam":
            self.w = self.base(G - 0.4 * (g - (g @ G) / (G @ G) * G))
        elif self.name == "gsam, fp False":
            self.w = self.base(g + 0.4 * (G - (g @ G) / (g @ g) * g))
        elif self.name == "looksam" and i % 2:
            length = np.linalg.norm
            self.w = self.base(g + 0.7 * length(g) / length(self.v) * self.v)
        elif self.name == "wsam decoupled":
            self.w = self.base(g) - 0.1 * 9 * (G - g)
        elif self.name == "wsam coupled":
            self.w = self.base(-8 * g + 9 * G)
        else:
            self.v = G - (g @ G) / (g @ g) * g
            self.w = self.base(G)
        return self.w


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", VALUES)
def test_the_twins_have_the_same_values(name, problem):
    """The form of F-SAM that starts at m_0 = 0 too, which is not offered."""
    twin = Twin(name, problem)
    for i in range(3):
        w = twin.step(i)
        if i != 1:
            assert w.tolist() == pytest.approx(expected(name, problem, i // 2), abs=1.01e-11)


def test_two_gradients_of_the_quadratic_by_hand():
    """e = 0.1 (1, 4)/√17, G = (1, 4)·(w + e); SAM-ON: w₂⁺ = 0.6 w₂ - 0.04."""
    seen = []
    model = TwoWeights((1.0, 1.0))
    stepper = wrap(SAM(rho=0.1), model, torch.optim.SGD(model.parameters(), lr=0.1), loss)
    descend = stepper.walker.descend
    stepper.walker.descend = lambda g: seen.append(g.tolist()) or descend(g)
    stepper.step(steps("Q1")[0])
    assert seen[0] == pytest.approx([1 + 0.1 / 17**0.5, 4 + 1.6 / 17**0.5], abs=1e-14)
    w2, twin = 1.0, Twin("sam-on", "Q1")
    for i in range(3):
        w2 = 0.6 * w2 - 0.04
        assert twin.step(i)[1] == pytest.approx(w2, abs=1e-14)
