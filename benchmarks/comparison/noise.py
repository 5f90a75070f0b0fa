"""Robustness to weight noise: a whole call beside as many bare forward passes."""

from collections.abc import Iterator
from functools import partial

import torch

from comparison.rounds import OURS, Block, Contender, Scale
from comparison.subjects import Subject, small_convolutions, small_mlp
from comparison.surfaces import forward, relative
from comparison.truth import losses
from landscape import measures

SIGMAS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)


def curve(scale: Scale) -> Iterator[Block]:
    """Six levels, ten draws."""
    draws = scale.pick(10, 2)
    for network in (small_mlp, small_convolutions):
        subject = network(scale)
        passes = len(SIGMAS) * draws
        bare = Contender(partial(forward, subject, passes), at_least=1 / 1.5)
        entrants = {
            OURS: Contender(partial(noise, subject, draws), partial(accuracy, subject)),
            f"{passes} bare forward passes with the loss": bare,
        }
        work = f"noise, {len(SIGMAS)} levels x {draws}"
        yield Block(work, subject.title, entrants, scale.pick(11, 1))


def noise(subject: Subject, draws: int, seed: int):
    """The record, in absolute units so that its points are easily made again."""
    measure = measures.NoiseRobustness(sigmas=SIGMAS, draws=draws, scale="absolute", seed=seed)
    return measure(subject.objective())


def accuracy(subject: Subject, answers) -> str:
    """The clean loss against float64, and how the mean loss rises."""
    record = answers[-1]
    (exact,) = losses(subject, [subject.objective().w])
    clean = relative(torch.tensor([record.clean_loss]).numpy(), [exact])
    return f"clean loss right to {clean:.0e}"
