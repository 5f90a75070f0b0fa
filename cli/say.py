"""Lines to the terminal: names are shown, not obeyed, and every stream can take every sign."""

import codecs
import sys

from landscape.utils.text import printable

ASCII = {
    "λ": "lambda", "κ": "kappa", "σ": "sigma", "ρ": "rho", "Δ": "delta", "∇": "grad", "±": "+/-",
    "×": "x", "−": "-", "–": "-", "≥": ">=", "≤": "<=", "‖": "||", "·": "-", "→": "->", "…": "...",
    "“": '"', "”": '"', "▲": "^", "▼": "v", "²": "^2",
}  # fmt: skip


def say(*lines: object, err: bool = False) -> None:
    """Print lines on stdout, or on stderr."""
    print("\n".join(map(printable, lines)), file=sys.stderr if err else sys.stdout, flush=True)


def accept_every_sign() -> None:
    """Let stdout and stderr write what their encoding lacks, as in the locale C, in ASCII."""
    codecs.register_error("landscape", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="landscape")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(ASCII.get(s) or ascii(s)[1:-1] for s in signs), error.end
