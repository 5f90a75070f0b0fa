"""Names and lists as a sentence holds them."""

from landscape.plots.drawing.style import look


def method_name(method: str) -> str:
    """The label of a method, as the figures write it."""
    return look(method).label


def capitalised(words: str) -> str:
    """Words with a capital first letter; Greek symbols keep their size, Λ is not λ."""
    return words[0].upper() + words[1:] if words[0].isascii() else words


def listed(words: list[str]) -> str:
    """Join words as "a", "a and b" or "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
