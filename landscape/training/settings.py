"""Settings of a run: frozen dataclasses, the same in Python, TOML and `--set a.b=value`.

Precedence, weakest first: the defaults here, the task's, the task's for the method, the user's,
the user's for the method (`[sam.training]` or `--set sam.training.lr=0.05`). Within each, a variant
`sam@wide` follows `sam`, and its own section (`["sam@wide"]` or `--set sam@wide.rho=0.2`) wins.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from landscape.lifelong.settings import LifelongSettings
from landscape.methods import METHODS, make, options, radii
from landscape.tasks.init_settings import InitSettings
from landscape.training.optimizer import kinds, schedules
from landscape.training.parameter_groups import groups_of
from landscape.utils.names import unknown


def _require(rule: str, holds: bool, found: object) -> None:
    also = ", and finite" if found in (math.inf, -math.inf) else ""
    if not holds:
        raise ValueError(f"{rule.removesuffix('.')}{also}. Got {found!r}.")


@dataclass(frozen=True)
class DataSettings:
    """batch_size: examples per step; held_out: share of the training set that no method trains on
    (LETS learns its radius there); augment: the task's augmentation, if it has one.
    label_noise: share of the training labels, the held-out ones among them, that are replaced by
    another class, uniformly, by the run's seed. Test labels are not. Measures on training examples
    see the labels that were trained on: the minimum is one of that loss.
    """

    batch_size: int = 64
    held_out: float = 0.1
    augment: bool = True
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        _require("`data.batch_size` must be at least 1.", self.batch_size >= 1, self.batch_size)
        _require("`data.held_out` must be in [0, 1).", 0 <= self.held_out < 1, self.held_out)
        noise = self.label_noise
        _require("`data.label_noise` must be in [0, 1).", 0 <= noise < 1, noise)


@dataclass(frozen=True)
class TrainingSettings:
    """Length of training and base optimizer.

    budget: "epochs", or "grad-evals": every method spends what SAM spends in `epochs` epochs (two
    gradient evaluations a step), the schedules stretched to fit.
    optimizer: "auto" (what the method asks for: AdamW for adamw, else SGD), one of torch's by
    name, as "nadam" or "muon" (with AdamW for what is no hidden matrix), or a reference to the
    user's own, "mine.py:factory", called with parameter groups. optimizer_args: its further
    arguments. momentum, nesterov: SGD's.
    schedule: "cosine", "step" (lr times `gamma` at each of `milestones`, shares of the budget),
    "constant", or one of torch's by name, as "OneCycleLR", with schedule_args in units of
    schedule_unit, "epoch" or "step"; warmup: share of the budget with a linear rise.
    groups: learning rates, decays and frozen parts by names of parameters, as tables of
    `landscape.training.parameter_groups.Group` ([[groups]] in a file), or "no-decay".
    max_grad_norm: clips the final gradient; label_smoothing: of the training loss only.
    precision: "fp32" or "bf16" (autocast); device: "auto", "cpu", "cuda" or "cuda:N".
    compile: the passes of a step run the network through torch.compile where they then give the
    eager passes' numbers, else eagerly, and a line says why. On CUDA as CUDA graphs, which has not
    been tried on a GPU yet.
    same_mask: all passes of a step draw one dropout mask; snapshots: weights kept along the way.
    ascent: over several ranks, "global": the climb is that of the whole batch; or "per-rank": each
    rank climbs on its part. No effect in one process.
    stop_at_loss: ends a training at the first epoch end whose plain training loss, in eval mode on
    the examples of the metrics, is at most this level, at the point between the last two epochs'
    weights that meets it within 2 %; `epochs` is then the most. None: the budget ends it. Of a
    sequence each task ends so, by the loss on its own examples.
    evaluate_every: epochs between two evaluations on training, held-out and test data, at the start
    and the end too; 0: at these alone. An epoch that is not evaluated has no row of metrics.
    measure_every: steps between two looks at the sharpness, at the start and the end too; 0: none.
    A look costs some 60 Hessian-vector products on measure_examples training examples, which do
    not count in time or budget, and changes nothing. measure_batch_norm: "stored", as measures have
    it, or "batch", the loss that the optimizer sees.
    """

    epochs: int = 30
    budget: str = "epochs"
    optimizer: str = "auto"
    optimizer_args: dict[str, Any] = field(default_factory=dict)
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    schedule_args: dict[str, Any] = field(default_factory=dict)
    schedule_unit: str = "epoch"
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    warmup: float = 0.0
    groups: Any = ()
    max_grad_norm: float | None = None
    label_smoothing: float = 0.0
    precision: str = "fp32"
    compile: bool = False
    device: str = "auto"
    same_mask: bool = False
    snapshots: int = 0
    ascent: str = "global"
    stop_at_loss: float | None = None
    evaluate_every: int = 1
    measure_every: int = 0
    measure_examples: int = 1000
    measure_batch_norm: str = "stored"

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))  # TOML and JSON have lists
        object.__setattr__(self, "groups", groups_of(self.groups))
        object.__setattr__(self, "optimizer", kinds.canonical_optimizer(self.optimizer))
        object.__setattr__(self, "schedule", schedules.canonical_schedule(self.schedule))
        kinds.check_arguments(self.optimizer, self.optimizer_args)
        schedules.check_arguments(self.schedule, self.schedule_args)
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(unknown(f"training.{name}", getattr(self, name), known))
        _require("`training.epochs` must be at least 1.", self.epochs >= 1, self.epochs)
        _require("`training.lr` must be positive.", 0 < self.lr < math.inf, self.lr)
        for name in ("momentum", "warmup", "label_smoothing"):
            value = getattr(self, name)
            _require(f"`training.{name}` must be in [0, 1).", 0 <= value < 1, value)
        for name in ("weight_decay", "gamma", "snapshots", "evaluate_every", "measure_every"):
            value = getattr(self, name)
            rule = f"`training.{name}` must be non-negative."
            _require(rule, 0 <= value < math.inf, value)
        few = self.measure_examples
        _require("`training.measure_examples` must be at least 1.", few >= 1, few)
        for name in ("stop_at_loss", "max_grad_norm"):
            value = getattr(self, name)
            rule = f"`training.{name}` must be positive."
            _require(rule, value is None or 0 < value < math.inf, value)


_CHOICES: dict[str, tuple[str, ...]] = {
    "budget": ("epochs", "grad-evals"),
    "schedule_unit": schedules.UNITS,
    "precision": ("fp32", "bf16"),
    "ascent": ("global", "per-rank"),
    "measure_batch_norm": ("stored", "batch"),
}


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run's numbers.

    method: a name, possibly nested and labelled, as "lets+asam@wide"; methods: hyper-parameters by
    plain name ("asam") for its parts. own: the user's own code, see
    `landscape.tasks.registration.UserCode`; a run that is only read does not need it.
    lifelong: the sequence of tasks; None where all classes are trained together.
    """

    task: str
    method: str
    seed: int = 0
    data: DataSettings = field(default_factory=DataSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    lifelong: LifelongSettings | None = None
    init: InitSettings = field(default_factory=InitSettings)

    def __post_init__(self) -> None:
        if self.lifelong and self.training.measure_every:
            raise ValueError(
                "`training.measure_every` follows one training, not a sequence of tasks. Set "
                'lifelong.measure to "task": then the measures are asked after each task.'
            )
        _require("`seed` must be a non-negative integer.", self.seed >= 0, self.seed)
        if set(self.own.get("methods", ())) <= set(METHODS):
            make(unlabelled(self.method), self.methods)

    @property
    def num_tasks(self) -> int:
        """Number of trainings one after the other: 1, or the tasks of a sequence."""
        return self.lifelong.tasks if self.lifelong else 1

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as `from_dict` reads them; only sections that are in use."""
        tree = asdict(self)
        if not self.lifelong:
            del tree["lifelong"]
        if not self.init.source:
            del tree["init"]
        return tree

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Settings":
        """The settings that `to_dict` wrote."""
        return cls(
            task=tree["task"],
            method=tree["method"],
            seed=tree["seed"],
            data=DataSettings(**tree["data"]),
            training=TrainingSettings(**tree["training"]),
            methods=tree["methods"],
            own=tree.get("own", {}),
            lifelong=LifelongSettings(**tree["lifelong"]) if tree.get("lifelong") else None,
            init=InitSettings(**tree.get("init", {})),
        )


def radius_of(settings: Settings) -> str:
    """Say which radius a run's method uses; "unknown" for a method that is not registered."""
    name = unlabelled(settings.method)
    known = set(name.split("+")) <= set(METHODS)
    return radii.describe(name, settings.methods) if known else "unknown"


SECTIONS: dict[str, type] = {
    "data": DataSettings, "training": TrainingSettings, "init": InitSettings,
    "lifelong": LifelongSettings,
}  # fmt: skip


def resolve(
    task: str, method: str, seed: int, *layers: Mapping[str, Mapping[str, Any]]
) -> Settings:
    """Settings from layers of overrides, weakest first: {"training": {...}, "sam": {...}}.

    A layer with the section "lifelong", also an empty one, makes a sequence of tasks.

    Raises ValueError with every unknown key at once, one line each.
    """
    errors = [line for layer in layers for line in check_keys(layer)]
    if errors:
        raise ValueError("\n".join(dict.fromkeys(errors)))
    names = unlabelled(method).split("+")
    sections: dict[str, dict[str, Any]] = {name: {} for name in (*SECTIONS, *names)}
    for layer in layers:
        for name in SECTIONS:
            sections[name].update(layer.get(name, {}))
        for part in method.split("+"):
            name = unlabelled(part)
            for own in (layer.get(source, {}) for source in dict.fromkeys((name, part))):
                sections[name].update({k: v for k, v in own.items() if k not in SECTIONS})
                for section in SECTIONS:
                    sections[section].update(own.get(section, {}))
    return Settings(
        task=task,
        method=method,
        seed=seed,
        data=replace(DataSettings(), **sections["data"]),
        training=replace(TrainingSettings(), **sections["training"]),
        methods={name: sections[name] for name in names},
        lifelong=LifelongSettings(**sections["lifelong"]) if _is_sequence(layers) else None,
        init=replace(InitSettings(), **sections["init"]),
    )


def _is_sequence(layers: Iterable[Mapping[str, Any]]) -> bool:
    """Test whether a layer has the section of lifelong learning, for all methods or for one."""
    tables = [table for layer in layers for table in (layer, *layer.values())]
    return any("lifelong" in table for table in tables if isinstance(table, Mapping))


def unlabelled(method: str) -> str:
    """ "lets+asam" of "lets+asam@wide": a label makes a variant with settings of its own.

    Raises ValueError where a label is no word of letters, digits, - and _.
    """
    parts = [part.partition("@") for part in method.split("+")]
    if any(at and not re.fullmatch(r"[\w-]+", label) for _, at, label in parts):
        raise ValueError(
            "A variant is written as in 'sam@wide', its label of letters, digits, - and _. "
            f"Got {method!r}."
        )
    return "+".join(name for name, _, _ in parts)


def check_keys(layer: Mapping[str, Any]) -> list[str]:
    """List unknown keys, one line each."""
    errors = []
    for name, values in layer.items():
        if name not in SECTIONS and unlabelled(name) not in METHODS:
            errors.append(unknown("settings section", name, [*SECTIONS, *METHODS]))
        elif not isinstance(values, Mapping):
            errors.append(f"`{name}` must be a table of settings. Got {values!r}.")
        else:
            errors += _check_section(name, values)
    return errors


def _check_section(name: str, values: Mapping[str, Any]) -> list[str]:
    of_method = name not in SECTIONS
    known = options(unlabelled(name)) if of_method else [f.name for f in fields(SECTIONS[name])]
    errors = []
    for key, value in values.items():
        if of_method and key in SECTIONS and isinstance(value, Mapping):
            errors += [line.replace("`", f"`{name}.", 1) for line in _check_section(key, value)]
        elif key not in known:
            errors.append(unknown("setting", f"{name}.{key}", [f"{name}.{k}" for k in known]))
    return errors
