"""Parameter groups by pattern: learning rates and weight decays of their own, and frozen parts.

Each parameter belongs to the first group that its name matches. Frozen parameters lie outside w:
they are neither trained nor perturbed nor measured, and their batch norms stay in eval mode.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from landscape.network import batch_norm
from landscape.network.filters import roles
from landscape.utils.names import unknown

NO_DECAY = "no-decay"  # biases, and parameters of normalisations
MOST_NAMES = 40  # in an error


@dataclass(frozen=True, repr=False)
class Group:
    """Settings of the parameters whose names match.

    match: a regular expression that fits the whole name, as "body\\.0\\..*", or "no-decay": biases
    and the parameters of normalisations.
    lr, weight_decay: in the place of `training.lr` and `training.weight_decay`; None keeps those.
    The schedule multiplies every learning rate alike. The decay of "no-decay" is 0 unless given.
    freeze: keep them as they are.
    """

    match: str
    lr: float | None = None
    weight_decay: float | None = None
    freeze: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.match)
        except (re.error, TypeError) as error:
            raise ValueError(
                f"`match` of a group must be a regular expression. Got {self.match!r}: {error}."
            ) from None
        self._require(
            "lr", "positive", self.lr is None or (_is_number(self.lr) and 0 < self.lr < math.inf)
        )
        decay = self.weight_decay
        self._require(
            "weight_decay",
            "non-negative",
            decay is None or (_is_number(decay) and 0 <= decay < math.inf),
        )
        self._require("freeze", "true or false", isinstance(self.freeze, bool))
        if self.freeze and (self.lr, decay) != (None, None):
            raise ValueError(f"Group {self.match!r} is frozen: it takes no lr and no weight_decay.")

    def __repr__(self) -> str:
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "match"}
        words = (f", {name}={value}" for name, value in given.items() if value not in (None, False))
        return f"Group({self.match!r}{''.join(words)})"

    def _require(self, name: str, rule: str, holds: bool) -> None:
        if not holds:
            value = getattr(self, name)
            raise ValueError(f"`{name}` of group {self.match!r} must be {rule}. Got {value!r}.")


def groups_of(given: Any) -> tuple[Group, ...]:
    """Read groups from tables as TOML has them, or from the word "no-decay".

    The word stands for two groups: "no-decay", then all the rest.

    Raises ValueError, in one line, for anything else, an unknown key or an impossible value.
    """
    if given == NO_DECAY:
        return Group(NO_DECAY, weight_decay=0.0), Group(".*")
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ValueError(f"`groups` must be tables with `match`, or {NO_DECAY!r}. Got {given!r}.")
    return tuple(map(_group, given))


def _group(given: Any) -> Group:
    if isinstance(given, Group):
        return given
    known = [f.name for f in fields(Group)]
    if not isinstance(given, Mapping):
        raise ValueError(f"A group must be a table of {', '.join(known)}. Got {given!r}.")
    for key in given:
        if key not in known:
            raise ValueError(unknown("setting of a group", key, known))
    if "match" not in given:
        raise ValueError(f"A group needs `match`. Got {dict(given)}.")
    exempt = {"weight_decay": 0.0} if given["match"] == NO_DECAY and not given.get("freeze") else {}
    return Group(**{**exempt, **given})


def freeze(model: nn.Module, groups: Sequence[Group]) -> None:
    """Take frozen parameters out of w, and put their batch norms into eval mode.

    A batch norm without parameters belongs to the group that matches its `running_mean`.

    Raises ValueError where a trainable parameter has no group, or a group no parameter.
    """
    if not groups:
        return
    assigned, parameters = groups_by_name(model, groups), dict(model.named_parameters())
    frozen = {id(parameters[name]) for name, group in assigned.items() if group.freeze}
    for path, norm in model.named_modules():
        if isinstance(norm, batch_norm.Norm) and norm.running_mean is not None:
            alone = _first(f"{path}.running_mean", True, groups) if norm.weight is None else None
            if id(norm.weight) in frozen or (alone is not None and alone.freeze):
                norm.training = False
    for p in parameters.values():
        if id(p) in frozen:
            p.requires_grad_(False)


def options_of(
    model: nn.Module, groups: Sequence[Group], lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Build the groups of a torch optimizer: params, lr and weight_decay of each.

    lr, weight_decay: of a group that sets none. Without groups there is one, of all trainable
    parameters.
    """
    if not groups:
        trainable = [p for p in model.parameters() if p.requires_grad]
        return [{"params": trainable, "lr": lr, "weight_decay": weight_decay}]
    assigned = groups_by_name(model, groups)
    members: dict[Group, list[nn.Parameter]] = {group: [] for group in groups}
    for name, p in model.named_parameters():
        if p.requires_grad:
            members[assigned[name]].append(p)
    return [
        {
            "params": params,
            "lr": lr if group.lr is None else group.lr,
            "weight_decay": weight_decay if group.weight_decay is None else group.weight_decay,
        }
        for group, params in members.items()
        if params
    ]


def groups_by_name(model: nn.Module, groups: Sequence[Group]) -> dict[str, Group]:
    """Assign to each parameter, by name, the first group that it matches; tied ones once.

    Raises ValueError where a trainable parameter has none, or a group no parameter.
    """
    found, assigned = roles(model), dict[str, Group]()
    for name, p in model.named_parameters():
        is_exempt = found[id(p)].gain or name.rpartition(".")[2] == "bias"
        group = _first(name, is_exempt, groups)
        if group is not None:
            assigned[name] = group
        elif p.requires_grad:
            raise ValueError(
                f"No group matches the parameter {name!r}. Let the last group be match = '.*'."
            )
    for group in groups:
        if group not in assigned.values() and group.match not in (NO_DECAY, ".*"):
            names = [name for name, _ in model.named_parameters()]
            raise ValueError(
                f"A group's match must fit a whole name, and be first to do so: {group.match!r} "
                f"has no parameter. {unknown('name', group.match, names[:MOST_NAMES])}"
            )
    return assigned


def _first(name: str, is_exempt: bool, groups: Sequence[Group]) -> Group | None:
    """Find the first group that takes a name; is_exempt: whether it is one of "no-decay"."""
    for group in groups:
        if is_exempt if group.match == NO_DECAY else re.fullmatch(group.match, name):
            return group
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
