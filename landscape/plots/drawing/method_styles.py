"""Name, colour and marker of each method, the same in every figure.

The fourteen colours keep a distance of 0.087 in OKLab under normal, protan, deutan and tritan
vision (tests/plots/drawing/test_method_styles.py), on paper and on a dark page; the markers differ.
"""

import itertools
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from landscape.utils.text import printable


@dataclass(frozen=True)
class MethodStyle:
    """Style of a method: its name in text, its colour on paper and on a dark page, its marker."""

    label: str
    colour: str
    dark: str
    marker: str


METHOD_STYLES: dict[str, MethodStyle] = {
    "sgd": MethodStyle("SGD", "#7A7A7A", "#9A9A9A", "o"),
    "adamw": MethodStyle("AdamW", "#111111", "#F2F2F2", "s"),
    "sam": MethodStyle("SAM", "#0072B2", "#5996D9", "^"),
    "asam": MethodStyle("ASAM", "#56B4E9", "#53D5FF", "v"),
    "lookbehind": MethodStyle("Lookbehind", "#332288", "#6559EE", "D"),
    "lets": MethodStyle("LETS", "#CC3311", "#F26952", "P"),
    "msam": MethodStyle("mSAM", "#E69F00", "#FFA500", "X"),
    "fam": MethodStyle("FAM", "#882255", "#C2407F", "<"),
    "aace": MethodStyle("AACE", "#B8860B", "#916A0E", ">"),
    "friendly-sam": MethodStyle("F-SAM", "#0096C3", "#96C3B4", "p"),
    "gsam": MethodStyle("GSAM", "#2D00E1", "#693CB4", "h"),
    "looksam": MethodStyle("LookSAM", "#9678FF", "#963C4B", "d"),
    "wsam": MethodStyle("WSAM", "#B4A596", "#FFD25A", "*"),
    "sam-on": MethodStyle("SAM-ON", "#1E2D00", "#C3E1B4", "8"),
}
# For names that are not among these: on paper, on a dark page; apart from the fourteen as well.
OTHERS = (
    ("#00AA77", "#44CC88"),
    ("#BB44DD", "#FF55FF"),
    ("#444411", "#BBEE44"),
    ("#DD7766", "#EE0000"),
    ("#7700CC", "#9900BB"),
    ("#117700", "#336644"),
    ("#FF55AA", "#FF3377"),
    ("#551111", "#EEBBBB"),
    ("#775588", "#CC99CC"),
    ("#330044", "#8866AA"),
)
MARKERS = ("p", "h", "d", "*", "8", "H")

_TOGETHER: ContextVar[tuple[str, ...]] = ContextVar("methods shown together", default=())


@contextmanager
def distinct_styles(methods: Iterable[str]) -> Iterator[None]:
    """Within it no two of these methods look alike.

    Open it around all figures of one study, so that a name looks the same in each of them, also
    where only some methods are drawn. Figures open it for what they draw; it may be nested.
    """
    known = _TOGETHER.get()
    token = _TOGETHER.set((*known, *sorted(set(methods) - set(known) - METHOD_STYLES.keys())))
    try:
        yield
    finally:
        _TOGETHER.reset(token)


def style_of(method: str) -> MethodStyle:
    """Style of a built-in method, or one derived from the name, and from the other names if two
    would look alike (`distinct_styles`).
    """
    if method in METHOD_STYLES:
        return METHOD_STYLES[method]
    slot = _slots((*_TOGETHER.get(), method))[method]
    more, place = divmod(slot, len(OTHERS))  # more than ten names share colours, not markers
    marker = MARKERS[(place + more) % len(MARKERS)]
    return MethodStyle(
        " + ".join(_label(part) for part in method.split("+")), *OTHERS[place], marker
    )


def _slots(methods: Iterable[str]) -> dict[str, int]:
    """Method -> the first free one of the places that its name leads to, in the order given."""
    taken: dict[str, int] = {}
    for name in dict.fromkeys(methods):
        start = zlib.crc32(name.encode())
        places = (
            (start + i) % len(OTHERS) + i // len(OTHERS) * len(OTHERS) for i in itertools.count()
        )
        taken[name] = next(place for place in places if place not in taken.values())
    return taken


def _label(part: str) -> str:
    """ "SAM (wide)" of the variant sam@wide."""
    name, at, label = part.partition("@")
    known = METHOD_STYLES[name].label if name in METHOD_STYLES else printable(name)
    return f"{known} ({printable(label).replace('-', ' ')})" if at else known
