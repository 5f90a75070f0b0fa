"""Texts to tokens: the commonest words of a training set, numbered."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

PADDING, UNKNOWN, SEPARATOR = range(3)  # fills up; no known word; between two texts
FIRST_WORD = 3

WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Runs of letters and digits, and each other sign by itself, in lower case."""
    return WORD.findall(text.lower())


def vocabulary(texts: Iterable[Sequence[str]], size: int) -> dict[str, int]:
    """The commonest words of examples, each one or more texts, and their tokens 3, 4, ...

    size: tokens at most, the three special ones among them. Words equally common: alphabetically.
    """
    counts = Counter(word for example in texts for text in example for word in words(text))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: token for token, word in enumerate(ordered[: size - FIRST_WORD], FIRST_WORD)}


def encoded(texts: Sequence[Sequence[str]], tokens: dict[str, int], length: int) -> Tensor:
    """int64 (n, length): the words of each example, a separator between its texts, padded with 0.

    A longer example is cut.
    """
    x = torch.full((len(texts), length), PADDING)
    for row, example in enumerate(texts):
        line: list[int] = []
        for text in example:
            line += [SEPARATOR] if line else []
            line += [tokens.get(word, UNKNOWN) for word in words(text)]
        line = line[:length]
        x[row, : len(line)] = torch.tensor(line, dtype=torch.int64)
    return x
