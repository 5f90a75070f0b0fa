"""The trace of the Hessian to one percent: error and stated interval beside the time."""

from collections.abc import Iterator
from functools import partial
from statistics import median

import numpy as np
import torch

from comparison import solvers, truth
from comparison.rounds import OURS, Block, Contender, Scale
from comparison.subjects import Subject, small_convolutions, small_mlp
from landscape import measures

PRODUCTS = 60  # at which estimators are compared, whatever they state


def to_one_percent(scale: Scale) -> Iterator[Block]:
    """Two networks whose trace has a closed form."""
    for network in (small_mlp, small_convolutions):
        subject = network(scale)
        exact, rounds = truth.trace(subject), scale.pick(11 if network is small_mlp else 5, 2)
        judge = partial(accuracy, exact=exact)
        contenders = {
            OURS: Contender(partial(ours, subject), judge),
            f"{OURS}, {PRODUCTS} products": Contender(partial(ours, subject, products=60), judge),
            "hessian-eigenthings, Hutch++, 99 products": Contender(
                partial(hutch, subject, products=99), judge
            ),
            f"hessian-eigenthings, Hutch++, {PRODUCTS} products": Contender(
                partial(hutch, subject, products=PRODUCTS), judge
            ),
            "PyHessian": Contender(partial(pyhessian, subject), judge),
        }
        yield Block("trace to 1 %", subject.title, contenders, rounds)


def accuracy(answers, exact: float) -> str:
    """Errors of all rounds, relative, how often the stated interval holds, and products."""
    errors = [abs(value - exact) / abs(exact) for value, *_ in answers]
    words = f"error {median(errors):.2%}, at most {max(errors):.2%}"
    stated = [(low <= exact <= high) for _, low, high, _ in answers if low is not None]
    if stated:
        words += f"; the interval holds in {sum(stated)} of {len(stated)} rounds"
    return f"{words}; {median(answer[-1] for answer in answers):g} products"


def ours(subject: Subject, seed: int, products: int | None = None):
    """Value, interval, number of products; with a fixed number the tolerance is out of reach."""
    settings = {} if products is None else {"tolerance": 0.0, "max_hvps": products}
    record = measures.Trace(seed=seed, **settings)(subject.objective())
    return record.value, record.low, record.high, record.hvps


def hutch(subject: Subject, seed: int, products: int):
    """Hutch++; the interval is two of its standard errors to each side."""
    from hessian_eigenthings import hutch_plus_plus

    result = hutch_plus_plus(solvers.operator(subject), num_matvecs=products, seed=seed)
    half = 2 * result.stderr
    return result.estimate, result.estimate - half, result.estimate + half, products


def pyhessian(subject: Subject, seed: int):
    """Hutchinson by its default rule, which states no interval."""
    torch.manual_seed(seed)
    samples = solvers.hessian_of(subject).trace()
    return float(np.mean(samples)), None, None, len(samples)
