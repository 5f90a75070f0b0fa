"""Radii in force: which value of `rho` each method of a nesting uses.

The radius of an outer method holds for all methods inside it; where it sets none (`rho` None), that
of the method inside holds; where there is no method inside, its `radius_alone`, or SAM's default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landscape.methods import make, options
from landscape.methods.ascent import Ascent, start
from landscape.methods.requirements import nested


@dataclass(frozen=True)
class Radius:
    """Radius of one method of a nesting.

    method: its name. value: the radius that its climbs use; None where it has none.
    source: the name of the method whose setting that is. idle: its own setting that another one
    takes the place of; None where there is none.
    """

    method: str
    value: float | None
    source: str = ""
    idle: float | None = None


def in_force(name: str, settings: Mapping[str, Mapping[str, Any]] | None = None) -> list[Radius]:
    """Radii of a method by name, as "lookbehind+asam", outermost first.

    settings: as `make` takes them. Raises ValueError as `make` does.

    Example: the radius of Lookbehind takes the place of ASAM's.

    >>> import landscape as ls
    >>> from landscape.methods.radii import in_force
    >>> in_force("lookbehind+asam", {"lookbehind": {"rho": 0.05}})[1]
    Radius(method='asam', value=0.05, source='lookbehind', idle=0.5)
    """
    layers = list(zip(name.split("+"), nested(make(name, settings)), strict=True))
    radii: list[Radius] = []
    outer: tuple[float, str] | None = None
    for i, (key, method) in enumerate(layers):
        if "rho" not in options(key):
            radii.append(Radius(key, None))
            continue
        own = method.rho
        if outer is None:
            outer = _outermost(layers[i:])
        idle = own if outer[1] != key and own is not None else None
        radii.append(Radius(key, *outer, idle))
    return radii


def describe(name: str, settings: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Say the radius in force: "‖e/T‖ = 0.5, of asam"; "none" where nothing is perturbed.

    Settings without effect are named: "; asam.rho = 0.5 is not used".
    """
    radii = in_force(name, settings)
    used = [radius for radius in radii if radius.value is not None]
    if not used:
        return "none"
    first, layers = used[0], list(nested(make(name, settings)))
    climbs = [method for method in layers if isinstance(method, Ascent)]
    ball = (climbs[-1] if climbs else Ascent()).ball
    chain = next((m for m in layers if getattr(m, "split", False)), None)
    parts = f" in {chain.k} climbs of {first.value / chain.k:g}" if chain and first.value else ""
    start = " at the start" if "lets" in name.split("+") else ""
    idle = [f"; {r.method}.rho = {r.idle:g} is not used" for r in used if r.idle is not None]
    return f"{ball} = {first.value:g}{parts}{start}, of {first.source}{''.join(idle)}"


def _outermost(layers: list[tuple[str, Any]]) -> tuple[float, str]:
    """The outermost radius that is set among methods by name, and whose it is."""
    with_radius = [(key, method) for key, method in layers if "rho" in options(key)]
    for key, method in with_radius:
        if method.rho is not None:
            return method.rho, key
    key, method = with_radius[-1]
    return start(method), key if hasattr(method, "radius_alone") else "sam"
