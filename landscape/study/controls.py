"""Controls: what else could explain a difference between two methods.

At equal settings Lookbehind takes longer steps than SAM and looks further. To first order in rho,
with plain SGD, it is SAM with radius (k+1)·rho/2 and learning rate alpha·k·eta (the mean of its k
gradients is g + (k+1)/2·rho·Hg/‖g‖ + O(rho²)). So a study of Lookbehind needs SAM with these.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from landscape.methods import METHODS, ascent, make, options
from landscape.training.settings import unlabelled
from landscape.training.train import settings_for

Overrides = Mapping[str, Mapping[str, Any]]


def with_controls(
    task: str, overrides: Mapping[str, Overrides]
) -> tuple[dict[str, Overrides], dict[str, str]]:
    """The overrides of each method, every Lookbehind followed by its control, as
    "sam@as-lookbehind"; and what each control is, in words.

    Raises ValueError where no method has a control.
    """
    found: dict[str, Overrides] = {}
    words: dict[str, str] = {}
    for method, own in overrides.items():
        found[method] = own
        if unlabelled(method.partition("+")[0]) == "lookbehind":
            name, section, words[name] = as_lookbehind(task, method, own)
            found[name] = {**own, name.partition("+")[0]: section}
    if not words:
        raise ValueError("`controls` has no effect: lookbehind is not among the methods.")
    return found, words


def as_lookbehind(task: str, method: str, overrides: Overrides) -> tuple[str, dict[str, Any], str]:
    """SAM, or what else a Lookbehind climbs by, at its effective radius and learning rate: name,
    settings of the variant's section, description.

    All else is Lookbehind's own: schedule, momentum, weight decay. An adaptive alpha counts as 1,
    the most that it can be.
    """
    chosen = settings_for(task, method, 0, overrides)
    found: Any = make(unlabelled(method), chosen.methods)
    climb = METHODS["sam"]() if found.over is None else found.over
    adaptive = found.alpha == "adaptive"
    alpha = 1.0 if adaptive else found.alpha
    rho = (found.k + 1) * ascent.start(found) / 2
    lr = alpha * found.k * chosen.training.lr
    inside, *rest = method.split("+")[1:] or ["sam"]
    label = "as-" + re.sub(r"[+@]", "-", method)
    section = {
        **{name: getattr(climb, name) for name in options(unlabelled(inside))},
        "rho": rho,
        "data": asdict(chosen.data),
        "training": {**asdict(chosen.training), "lr": lr},
    }
    words = (
        f"radius (k+1)ρ/2 = {rho:g} and learning rate αkη = {lr:g}, with which it is {method} to "
        f"first order in ρ (k = {found.k}, ρ = {ascent.start(found):g}, "
        f"α = {alpha:g}{', in the place of adaptive' if adaptive else ''}, "
        f"η = {chosen.training.lr:g})"
    )
    return "+".join([f"{unlabelled(inside)}@{label}", *rest]), section, words
