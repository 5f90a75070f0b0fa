"""Names from data, checkpoints and folders as text that a reader sees and no program obeys."""

import unicodedata


def printable(words: object) -> str:
    r"""The words in one line, with escapes for signs that move the cursor, reorder or hide text.

    Control characters, line ends, marks of direction and lone surrogates: "\x1b[31m" is shown as
    the eight characters \, x, 1, b, [, 3, 1 and m. Spaces of all widths stay.
    """
    text = str(words)
    return text if text.isprintable() else "".join(map(_shown, text))


def printable_lines(words: str) -> str:
    """The words as `printable` has them, their line ends kept."""
    return "\n".join(map(printable, words.split("\n")))


def _shown(sign: str) -> str:
    if sign.isprintable() or unicodedata.category(sign) == "Zs":
        return sign
    return sign.encode("unicode_escape").decode()
