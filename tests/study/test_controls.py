"""The control of Lookbehind: its numbers by hand, and that it does what it says in the limit."""

import pytest
import torch

from landscape.methods import make
from landscape.study.controls import as_lookbehind, with_controls
from landscape.training.settings import resolve

OVERRIDES = {"lookbehind": {"rho": 0.1, "k": 5, "alpha": 0.2}, "training": {"lr": 0.3}}


def control(method, **overrides):
    """The settings that a run of the control would have."""
    given = {**OVERRIDES, **overrides}
    name, section, words = as_lookbehind("digits", method, given)
    given = {**given, name.partition("+")[0]: section}
    return name, resolve("digits", name, 0, given), words


def test_radius_and_learning_rate_by_hand():
    """k = 5, ρ = 0.1, α = 0.2, η = 0.3: radius 6·0.1/2 = 0.3, rate 0.2·5·0.3 = 0.3."""
    name, settings, words = control("lookbehind")
    assert name == "sam@as-lookbehind"
    assert settings.methods["sam"]["rho"] == pytest.approx(0.3)
    assert settings.training.lr == pytest.approx(0.3)
    assert "(k+1)ρ/2 = 0.3" in words and "αkη = 0.3" in words


def test_an_adaptive_alpha_counts_as_one_and_says_so():
    _, settings, words = control("lookbehind", lookbehind={"k": 3, "alpha": "adaptive"})
    assert settings.training.lr == pytest.approx(3 * 0.3)
    assert "α = 1, in the place of adaptive" in words


def test_all_else_is_that_of_lookbehind_and_nothing_that_of_sam():
    own = {**OVERRIDES["lookbehind"], "training": {"momentum": 0.5}, "data": {"batch_size": 32}}
    sam = {"rho": 9.0, "normalize": False, "training": {"epochs": 99}}
    _, settings, _ = control("lookbehind", lookbehind=own, sam=sam)
    assert (settings.training.momentum, settings.data.batch_size) == (0.5, 32)
    assert settings.training.epochs != 99 and settings.methods["sam"]["normalize"] is True


def test_the_control_climbs_as_the_lookbehind_does():
    rho = {"lookbehind": {"k": 3}, "asam": {"rho": 0.4, "eta": 0.1}}
    name, settings, _ = control("lookbehind@a+asam", **rho)
    assert name == "asam@as-lookbehind-a-asam"
    assert settings.methods["asam"]["rho"] == pytest.approx(0.8)
    assert settings.methods["asam"]["eta"] == 0.1
    name, settings, _ = control("lookbehind+msam+asam", **rho)
    assert name == "msam@as-lookbehind-msam-asam+asam"
    assert settings.methods["msam"]["rho"] == pytest.approx(0.8)
    make("msam+asam", settings.methods)


def test_it_follows_its_lookbehind():
    given = {"sgd": OVERRIDES, "lookbehind": OVERRIDES, "lets+lookbehind": OVERRIDES}
    found, words = with_controls("digits", given)
    assert list(found) == ["sgd", "lookbehind", "sam@as-lookbehind", "lets+lookbehind"]
    assert list(words) == ["sam@as-lookbehind"] and found["sgd"] == OVERRIDES


def test_without_a_lookbehind_there_is_nothing_to_control():
    with pytest.raises(ValueError, match="`controls` has no effect: lookbehind is not among"):
        with_controls("digits", {"sam": {}})


def test_lookbehind_is_its_control_to_first_order(net_walker, batch):
    """With plain SGD the two steps differ by O(lr·ρ²): a tenth of ρ, a hundredth of the gap, while
    SAM at Lookbehind's own radius differs by O(lr·ρ).
    """
    gaps, others = [], []
    for rho in (1e-2, 1e-3):
        given = {"lookbehind": {"rho": rho, "k": 5, "alpha": 0.2}, "training": {"lr": 0.3}}
        name, section, _ = as_lookbehind("digits", "lookbehind", given)
        settings = resolve("digits", name, 0, {name: section})
        own = {**settings.methods["sam"], "rho": rho}
        runs = [
            ("lookbehind", {"lookbehind": given["lookbehind"]}, 0.3),
            ("sam", settings.methods, settings.training.lr),
            ("sam", {"sam": own}, settings.training.lr),
        ]
        w = []
        for method, options, lr in runs:
            walker = net_walker(lr=lr)
            make(method, options).step(walker, batch)
            w.append(walker.w)
        gaps.append(torch.dist(w[0], w[1]).item())
        others.append(torch.dist(w[0], w[2]).item())
    assert gaps[1] < 0.02 * gaps[0]
    assert others[1] > 0.05 * others[0] and others[1] > 10 * gaps[1]
