"""Limits in which one method is another: ten steps with momentum and weight decay."""

import pytest
import torch

from landscape.methods import make
from landscape.network.batch import Batch

EQUAL = [  # bit for bit
    ("sam", {"sam": {"rho": 0.0}}, "sgd", {}),
    ("asam", {"asam": {"rho": 0.0}}, "sgd", {}),
    ("msam", {"msam": {"rho": 0.0, "num_shards": 1}}, "sgd", {}),
    ("aace", {"aace": {"rho": 0.0}}, "sgd", {}),
    ("aace", {"aace": {"rho": 0.0, "normalize": True, "mode": "rand"}}, "sgd", {}),
    ("fam", {"fam": {"lam": 0.0}}, "sgd", {}),
    ("fam", {"fam": {"lam": 0.0, "form": "kappa_hat", "gradient": "frozen"}}, "sgd", {}),
    ("lookbehind", {"lookbehind": {"rho": 0.0, "k": 1, "alpha": 1.0}}, "sgd", {}),
    ("msam", {"msam": {"num_shards": 1}}, "sam", {}),
    ("msam+asam", {"msam": {"num_shards": 1}}, "asam", {}),
    ("msam+sam", {"msam": {"rho": 0.2}}, "msam", {"msam": {"rho": 0.2}}),
    ("msam+sam", {"sam": {"rho": 0.2}}, "msam", {"msam": {"rho": 0.2}}),
    ("lookbehind", {"lookbehind": {"k": 1, "alpha": 1.0}}, "sam", {}),
    ("lookbehind", {"lookbehind": {"k": 1, "alpha": "adaptive"}}, "sam", {}),
    ("lookbehind", {"lookbehind": {"k": 1, "alpha": "adaptive", "scope": "global"}}, "sam", {}),
    ("lookbehind+asam", {"lookbehind": {"k": 1, "alpha": 1.0}}, "asam", {}),
    ("lookbehind", {"lookbehind": {"k": 3, "reuse": True}}, "lookbehind", {"lookbehind": {"k": 3}}),
    ("lets", {"lets": {"beta": 0.0}}, "sam", {}),
    ("lets", {"lets": {"rho": 0.2, "beta": 0.0}}, "sam", {"sam": {"rho": 0.2}}),
    ("lets+asam", {"lets": {"beta": 0.0}}, "asam", {}),
    ("lets+sam", {"lets": {"upper": "same"}}, "lets", {"lets": {"upper": "same"}}),
    ("lets", {"lets": {"every": 11}}, "sam", {}),
    ("friendly-sam", {"friendly-sam": {"sigma": 0.0}}, "sam", {}),
    ("friendly-sam", {"friendly-sam": {"rho": 0.0}}, "sgd", {}),
    ("gsam", {"gsam": {"alpha": 0.0}}, "sam", {}),
    ("gsam", {"gsam": {"rho": 0.2, "alpha": 0.0, "rho_min": 0.2}}, "sam", {"sam": {"rho": 0.2}}),
    ("gsam", {"gsam": {"alpha": 0.0, "minimize_fp": False}}, "sgd", {}),
    ("gsam+asam", {"gsam": {"alpha": 0.0}}, "asam", {}),
    ("gsam+aace", {"gsam": {"alpha": 0.0}}, "aace", {}),
    ("looksam", {"looksam": {"k": 1, "rho": 0.05}}, "sam", {}),
    ("looksam", {"looksam": {"rho": 0.0}}, "sgd", {}),
    ("looksam+asam", {"looksam": {"k": 1}}, "asam", {}),
    ("looksam+msam", {"looksam": {"k": 1}}, "msam", {}),
    ("wsam", {"wsam": {"gamma": 0.0}}, "sgd", {}),
    ("wsam", {"wsam": {"gamma": 0.0, "decouple": False}}, "sgd", {}),
    ("wsam", {"wsam": {"gamma": 0.5, "decouple": False}}, "sam", {}),
    ("wsam+msam", {"wsam": {"gamma": 0.5, "decouple": False}}, "msam", {}),
    ("sam-on", {"sam-on": {"rho": 0.05}}, "sam", {}),  # no_norm, of a model without norms
    ("sam-on", {"sam-on": {"rho": 0.0}}, "sgd", {}),
    ("sam-on+asam", {}, "asam", {}),
    ("sam-on+aace", {}, "aace", {}),
    ("lets+friendly-sam", {"lets": {"beta": 0.0}}, "friendly-sam", {}),
    ("lets+wsam", {"lets": {"beta": 0.0}}, "wsam", {}),
]


@pytest.mark.parametrize(("left", "left_settings", "right", "right_settings"), EQUAL)
def test_bit_for_bit(left, left_settings, right, right_settings, trained, batches):
    steps = batches(10)
    ours, theirs = trained(left, left_settings, steps), trained(right, right_settings, steps)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("num_shards", [2, 5, 12])
def test_shards_without_a_radius_are_the_batch(num_shards, trained, batches):
    """Uneven shards too: they count by their examples."""
    steps = batches(10)
    ours = trained("msam", {"msam": {"rho": 0.0, "num_shards": num_shards}}, steps)
    torch.testing.assert_close(ours, trained("sgd", {}, steps), rtol=1e-12, atol=1e-14)


def test_one_example_of_normalised_aace_is_sam(trained, batches):
    """Per example the two gradients are antiparallel: the same direction, the same radius."""
    steps = batches(10, size=1)
    ours = trained("aace", {"aace": {"rho": 0.05, "normalize": True}}, steps)
    torch.testing.assert_close(ours, trained("sam", {}, steps), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("parameterisation", ["exp", "softplus", "clip"])
def test_equal_losses_keep_the_radius(parameterisation, stepper, batches):
    """Held-out and training batch the same: no gap, no change; all ten steps are SAM's."""
    (batch,) = batches(1)
    settings = {"lets": {"upper": "same", "parameterisation": parameterisation}}
    ours, sam = stepper("lets", settings, held_out=[batch]), stepper("sam")
    for _ in range(10):
        ours.step(batch)
        sam.step(batch)
        assert ours.logged["gap"] == 0
    torch.testing.assert_close(ours.method.radius.item(), 0.05, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.walker.w, sam.walker.w, rtol=1e-10, atol=1e-12)


def test_looksam_without_alpha_is_sam_by_turns(trained, stepper, batches):
    """alpha = 0: SAM at every k-th step, the base optimizer between."""
    steps = batches(7)
    ours = trained("looksam", {"looksam": {"k": 3, "alpha": 0.0, "rho": 0.05}}, steps)
    sam, sgd = stepper("sam"), make("sgd")
    for i, batch in enumerate(steps):
        sam.walker.begin(batch.size)
        (sgd if i % 3 else sam.method).step(sam.walker, batch)
    assert torch.equal(ours, sam.walker.w)


@pytest.mark.parametrize("num_shards", [1, 2, 3])
def test_copies_of_a_shard_are_sam_on_it(num_shards, trained, batches):
    (one,) = batches(1)
    x = one.x.repeat(num_shards, 1)
    copies = Batch(x, one.y.repeat(num_shards))
    ours = trained("msam", {"msam": {"num_shards": num_shards}}, [copies] * 5)
    torch.testing.assert_close(ours, trained("sam", {}, [one] * 5), rtol=1e-12, atol=1e-14)
