"""Texts to tokens: the commonest words of a training set, numbered."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

PADDING, UNKNOWN, SEPARATOR = range(3)  # fills up; no known word; between two texts
FIRST_WORD = 3
START = FIRST_WORD  # of a pair, [CLS]; its words begin one later
KEYS = ("input_ids", "token_type_ids", "attention_mask")  # as transformers' networks call them

WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Runs of letters and digits, and each other sign by itself, in lower case."""
    return WORD.findall(text.lower())


def vocabulary(
    texts: Iterable[Sequence[str]], size: int, first: int = FIRST_WORD
) -> dict[str, int]:
    """The commonest words of examples, each one or more texts, and their tokens 3, 4, ...

    first: the token of the commonest word. size: tokens at most, the special ones among them. Words
    equally common: alphabetically.
    """
    counts = Counter(word for example in texts for text in example for word in words(text))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: token for token, word in enumerate(ordered[: size - first], first)}


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


def encoded_pairs(
    pairs: Sequence[Sequence[str]], tokens: Mapping[str, int], length: int
) -> dict[str, Tensor]:
    """input_ids, token_type_ids and attention_mask, int64 (n, length).

    Types are 0 up to the first [SEP], then 1, and 0 in the padding. Of a pair that is too long the
    longer text loses its last word, the second where both are as long, until it fits.
    """
    x = {key: torch.full((len(pairs), length), PADDING) for key in KEYS}
    for row, (first, second) in enumerate(pairs):
        a, b = ([tokens.get(w, UNKNOWN) for w in words(text)] for text in (first, second))
        while len(a) + len(b) > length - 3:
            (a if len(a) > len(b) else b).pop()
        line = [START, *a, SEPARATOR, *b, SEPARATOR]
        x["input_ids"][row, : len(line)] = torch.tensor(line)
        x["token_type_ids"][row, len(a) + 2 : len(line)] = 1
        x["attention_mask"][row, : len(line)] = 1
    return x
