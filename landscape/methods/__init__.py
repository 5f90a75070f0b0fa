"""The training methods, one paper per file, and how they are named and nested.

Imports `network` and `methods.walker`; no method imports another. Start with `sam.py`, then
`ascent.py`, which says what an outer method may ask of an inner one.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol, cast

from landscape.methods.aace import AACE
from landscape.methods.asam import ASAM
from landscape.methods.fam import FAM
from landscape.methods.friendly_sam import FriendlySAM
from landscape.methods.gsam import GSAM
from landscape.methods.lets import LETS
from landscape.methods.lookahead import Lookahead
from landscape.methods.lookbehind import Lookbehind
from landscape.methods.looksam import LookSAM
from landscape.methods.msam import MSAM
from landscape.methods.multistep import MultistepSAM
from landscape.methods.sam import SAM
from landscape.methods.sam_on import SAMON
from landscape.methods.sgd import SGD, AdamW
from landscape.methods.walker.walker import Walker
from landscape.methods.wsam import WSAM
from landscape.network.batch import Batch
from landscape.utils.names import canonical, look_up

__all__ = [
    "AACE",
    "ASAM",
    "FAM",
    "GSAM",
    "LETS",
    "METHODS",
    "MSAM",
    "NEWER",
    "PAPERS",
    "SAM",
    "SAMON",
    "SGD",
    "WSAM",
    "AdamW",
    "FriendlySAM",
    "LookSAM",
    "Lookahead",
    "Lookbehind",
    "Method",
    "MultistepSAM",
    "make",
    "options",
]


class Method(Protocol):
    """A training rule. One with a memory has `state_dict()` and `load_state_dict()` as well."""

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        ...


METHODS: dict[str, type[Any]] = {
    "sgd": SGD,
    "adamw": AdamW,
    "sam": SAM,
    "asam": ASAM,
    "lookbehind": Lookbehind,
    "lets": LETS,
    "msam": MSAM,
    "fam": FAM,
    "aace": AACE,
    "multistep-sam": MultistepSAM,
    "lookahead": Lookahead,
    "friendly-sam": FriendlySAM,
    "gsam": GSAM,
    "looksam": LookSAM,
    "wsam": WSAM,
    "sam-on": SAMON,
}
PAPERS = ("sgd", "adamw", "sam", "asam", "lookbehind", "lets", "msam", "fam", "aace")  # "all"
NEWER = ("friendly-sam", "gsam", "looksam", "wsam", "sam-on")  # "newer"


def make(name: str, settings: Mapping[str, Mapping[str, Any]] | None = None) -> Method:
    """Make the method of a name, "lets+asam" for LETS(over=ASAM()), outermost first.

    settings: method name -> its settings, as {"asam": {"rho": 0.5}}; methods that the name leaves
    out are checked and not used.

    Raises ValueError for unknown methods and settings, naming the nearest and all known ones, and
    for methods that do not nest.

    Example:

    >>> import landscape as ls
    >>> ls.methods.make("lookbehind+asam", {"asam": {"rho": 0.2}}).over
    ASAM(rho=0.2, eta=0.01, scaled='weights')
    """
    settings = settings or {}
    for method_name, values in settings.items():
        look_up("method", method_name, METHODS)
        known = dict.fromkeys(options(method_name))
        for setting in values:
            look_up(f"setting of {method_name}", setting, known)
    names = [canonical("method", inner, METHODS) for inner in name.split("+")]
    method: Any = None
    for key in reversed(names):
        nested: dict[str, Any] = {}
        if method is not None:
            _check_takes_another(key, name)
            nested["over"] = method
        method = METHODS[key](**settings.get(key, {}), **nested)
    return cast(Method, method)


def options(method: str) -> list[str]:
    """The settings of a method, by name."""
    return [f.name for f in fields(METHODS[method]) if f.init and f.name != "over"]


def _check_takes_another(key: str, name: str) -> None:
    outer = [m for m, cls in METHODS.items() if any(f.name == "over" for f in fields(cls))]
    if key not in outer:
        raise ValueError(
            f"{name!r} does not nest: {key} takes no other method inside. "
            f"Those that do: {', '.join(outer)}, as in 'lets+asam'."
        )
