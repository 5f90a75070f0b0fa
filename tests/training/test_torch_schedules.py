"""Schedules of torch by name: the rates of a plain loop that steps the scheduler itself."""

import inspect

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from landscape.training.optimizer.schedules import NOT_TABLES, SCHEDULES
from landscape.training.schedule import Rates
from landscape.training.settings import Settings, TrainingSettings, resolve

EPOCHS, STEPS = 6, 5  # steps of an epoch
ARGUMENTS = {
    "StepLR": {"step_size": 2, "gamma": 0.3},
    "MultiStepLR": {"milestones": [1, 4], "gamma": 0.5},
    "ConstantLR": {"factor": 0.2, "total_iters": 3},
    "LinearLR": {"start_factor": 0.1, "total_iters": 4},
    "ExponentialLR": {"gamma": 0.8},
    "PolynomialLR": {"total_iters": 5, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 4, "eta_min": 1e-3},
    "CosineAnnealingWarmRestarts": {"T_0": 2, "T_mult": 2},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2},
    "OneCycleLR": {"max_lr": [0.2, 0.4], "total_steps": EPOCHS * STEPS, "pct_start": 0.4},
}


@pytest.mark.parametrize("unit", ["epoch", "step"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rates_are_those_of_a_plain_loop(name, unit):
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.1, 0.5)]
    optimizer = torch.optim.SGD(groups)
    fixed = {"cycle_momentum": False} if name in ("CyclicLR", "OneCycleLR") else {}
    scheduler = getattr(lr_scheduler, name)(optimizer, **ARGUMENTS[name], **fixed)
    settings = TrainingSettings(
        epochs=EPOCHS, schedule=name.lower(), schedule_args=ARGUMENTS[name], schedule_unit=unit
    )
    rates = Rates(settings, [0.1, 0.5], EPOCHS * STEPS)
    for step in range(EPOCHS * STEPS):
        assert rates(step / (EPOCHS * STEPS)) == [group["lr"] for group in optimizer.param_groups]
        optimizer.step()
        if step + 1 < EPOCHS * STEPS and (unit == "step" or (step + 1) % STEPS == 0):
            scheduler.step()


@pytest.mark.parametrize(
    ("name", "unit", "last"),
    [("CosineAnnealingLR", "step", 0.1 * 0.5 * (1 + torch.tensor(torch.pi * 29 / 30).cos().item())),
     ("OneCycleLR", "step", 0.1 / 25 / 1e4)],
)  # fmt: skip
def test_a_length_that_is_left_out_is_the_budget(name, unit, last):
    settings = TrainingSettings(epochs=EPOCHS, schedule=name, schedule_unit=unit)
    rates = Rates(settings, [0.1], EPOCHS * STEPS)
    assert rates(29 / 30)[0] == pytest.approx(last, rel=1e-4)
    if name == "OneCycleLR":
        assert max(rates(s / 30)[0] for s in range(30)) == pytest.approx(0.1, rel=0.02)


def test_a_warm_up_rises_into_the_table():
    settings = TrainingSettings(
        epochs=10, schedule="ExponentialLR", schedule_args={"gamma": 0.5}, warmup=0.2
    )
    rates = Rates(settings, [1.0], 100)
    assert 0 < rates(0.0)[0] < rates(0.05)[0] < 1.0
    assert rates(0.2) == [0.25] and rates(0.3) == [0.125]


def test_every_schedule_of_torch_is_known_or_refused():
    kinds = [k for k in vars(lr_scheduler).values() if inspect.isclass(k)]
    base = lr_scheduler.LRScheduler
    names = {k.__name__ for k in kinds if issubclass(k, base) and k is not base} - {"_LRScheduler"}
    assert {name.lower() for name in names} == {*map(str.lower, SCHEDULES), *NOT_TABLES}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "exponental"}, "Did you mean 'ExponentialLR'"),
        ({"schedule": "ReduceLROnPlateau"}, "cannot be ReduceLROnPlateau: it follows a metric"),
        ({"schedule": "LambdaLR"}, "it takes a function"),
        ({"schedule": "StepLR", "schedule_args": {"gama": 1}}, "Did you mean 'gamma'"),
        ({"schedule_args": {"gamma": 1}}, "are for schedules of torch, as StepLR. Got 'cosine'"),
        ({"schedule": "OneCycleLR", "schedule_args": {"cycle_momentum": True}}, "Unknown argument"),
        ({"schedule_unit": "epochs"}, "Unknown training.schedule_unit 'epochs'. Did you mean"),
    ],
)
def test_what_is_not_known_is_refused_with_the_settings(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        TrainingSettings(**settings)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("StepLR", {}, "StepLR refuses its arguments: missing 1 required positional argument"),
        ("OneCycleLR", {"pct_start": 3.0}, "OneCycleLR refuses its arguments: Expected float"),
        ("OneCycleLR", {"total_steps": 2}, "OneCycleLR refuses its arguments: Tried to step 3"),
        ("StepLR", {"step_size": "a"}, "StepLR refuses its arguments"),
    ],
)
def test_impossible_arguments_are_one_line(name, arguments, message):
    settings = TrainingSettings(epochs=9, schedule=name, schedule_args=arguments)
    with pytest.raises(ValueError, match=message) as error:
        Rates(settings, [0.1], 90)
    assert len(str(error.value).splitlines()) == 1


def test_settings_keep_the_arguments():
    layer = {"training": {"schedule": "steplr", "schedule_args": {"step_size": 3}}}
    settings = resolve("digits", "sam", 0, layer)
    assert settings.training.schedule == "StepLR"
    assert Settings.from_dict(settings.to_dict()) == settings
