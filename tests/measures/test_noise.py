"""Noise robustness against a naive loop, a quadratic's closed form, and its equal draws."""

import copy

import numpy as np
import pytest
import torch

from landscape import Batch
from landscape.measures import NoiseRobustness


def rows(p):
    return p.flatten(1).square().mean(1).sqrt().view(-1, *[1] * (p.dim() - 1))


NAIVE = {
    "max": lambda p: p.abs().max(),
    "rms": lambda p: p.square().mean().sqrt(),
    "filter": rows,
    "elementwise": lambda p: p.abs(),
    "absolute": lambda p: 1.0,
}


@pytest.mark.parametrize("scale", NAIVE)
def test_equals_a_naive_loop_over_copies(objective, scale):
    subject = objective("conv")
    record = NoiseRobustness(sigmas=(0.0, 0.01, 0.3), draws=3, scale=scale, seed=5)(subject)
    generator = torch.Generator().manual_seed(5)
    for draw in range(3):
        xi = torch.randn(subject.weights.n, generator=generator).double()
        for i, sigma in enumerate((0.0, 0.01, 0.3)):
            model, start = copy.deepcopy(subject.model).eval(), 0
            for p in model.parameters():
                part = xi[start : start + p.numel()].view_as(p)
                start += p.numel()
                if p.dim() > 1:
                    p.data += sigma * NAIVE[scale](p.data) * part
            z = torch.cat([model(b.x) for b in subject.batches]).detach()
            y = torch.cat([b.y for b in subject.batches])
            loss = torch.nn.functional.cross_entropy(z, y).item()
            np.testing.assert_allclose(record.loss[i, draw], loss, rtol=1e-12)
            assert record.accuracy[i, draw] == pytest.approx((z.argmax(1) == y).double().mean())


def test_rise_on_a_quadratic(bare_objective):
    """L = wᵀ diag(1, 4, 9) w / 2 at 0, s = 0.05: the mean rises by s²/2 · 14 = 0.0175."""
    d = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
    subject = bare_objective(torch.zeros(3), lambda w: 0.5 * (d * w**2).sum())
    record = NoiseRobustness(sigmas=(0.05,), draws=1000, scale="absolute", biases=True)(subject)
    stderr = record.loss.std(ddof=1) / 1000**0.5
    assert abs(record.loss.mean() - 0.0175) < 4.5 * stderr
    assert stderr < 0.001
    assert record.clean_loss == 0


def test_draws_are_equal_across_models_and_levels(bare_objective):
    """For L = ⟨a, w⟩ the rise is σ⟨a, ξ⟩: linear in σ for each draw, and the same at any w."""
    a = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    ask = NoiseRobustness(sigmas=(0.1, 0.2, 0.4), draws=4, scale="absolute", biases=True)
    here, there = (
        ask(bare_objective(w, lambda w: a @ w)) for w in ([0.0, 0.0, 0.0], [5.0, -1.0, 2.0])
    )
    rise = here.loss - here.clean_loss
    np.testing.assert_allclose(rise[1:] / rise[0], np.outer([2, 4], np.ones(4)), rtol=1e-12)
    np.testing.assert_allclose(there.loss - there.clean_loss, rise, rtol=1e-12)
    assert len(np.unique(rise[0])) == 4
    fewer = NoiseRobustness(sigmas=(0.1,), draws=2, scale="absolute", biases=True)
    np.testing.assert_array_equal(
        fewer(bare_objective([0.0] * 3, lambda w: a @ w)).loss[0], rise[0, :2]
    )


@pytest.mark.parametrize(
    ("switches", "moved"),
    [
        ({}, {"0.weight", "4.weight"}),
        ({"biases": True}, {"0.weight", "4.weight", "0.bias", "4.bias"}),
        ({"normalisation": True}, {"0.weight", "4.weight", "1.weight", "1.bias"}),
    ],
)
def test_which_parameters_move(objective, switches, moved):
    subject, seen = objective("conv"), []
    subject.evaluate([subject.w])  # has chosen its way
    plain = subject.loss
    subject.risk.loss = lambda m, b: (
        seen.append({k: p.detach().clone() for k, p in m.named_parameters()}) or plain(m, b)
    )
    NoiseRobustness(sigmas=(0.5,), draws=2, **switches)(subject)
    clean, noisy = seen[0], seen[len(subject.batches)]
    assert {k for k in clean if not torch.equal(clean[k], noisy[k])} == moved


def test_nothing_to_perturb_is_refused(bare_objective):
    with pytest.raises(ValueError, match=r"no weights of linear layers.*biases=True"):
        NoiseRobustness()(bare_objective([1.0, 2.0], lambda w: w.sum()))


def test_no_classes_no_accuracy(net, data):
    from landscape import Objective

    batches = [Batch(b.x, b.x[:, :3]) for b in data()]
    subject = Objective(net("mlp"), batches, lambda m, b: (m(b.x) - b.y).square().mean())
    record = NoiseRobustness(draws=2)(subject)
    assert np.isnan(record.accuracy).all()
    assert np.isnan(record.clean_accuracy)
    assert np.isfinite(record.loss).all()


def test_other_data_at_the_same_noisy_points(net, data):
    """The other data's numbers are those of asking it alone, whatever data came first."""
    from landscape import Objective

    def loss(model, batch):
        return torch.nn.functional.cross_entropy(model(batch.x), batch.y)

    here, there = (Objective(net("mlp"), data(sizes=sizes), loss) for sizes in ((7, 4), (9,)))
    ask = NoiseRobustness(sigmas=(0.0, 0.2), draws=3)
    both, alone = ask(here, other=there), ask(there)
    np.testing.assert_array_equal(both.loss, ask(here).loss)
    assert ask(here).other is None
    for name in ("loss", "accuracy", "clean_loss", "clean_accuracy"):
        np.testing.assert_allclose(getattr(both.other, name), getattr(alone, name), rtol=1e-12)
    assert both.other.point == alone.point
    assert both.other.other is None
    assert not np.allclose(both.loss[1], both.other.loss[1])


def test_other_data_come_back_from_a_file(objective, tmp_path):
    from landscape.records import load

    record = NoiseRobustness(sigmas=(0.1,), draws=2)(objective(), other=objective())
    record.save(tmp_path / "noise.nc")
    again = load(tmp_path / "noise.nc").other
    np.testing.assert_array_equal(again.loss, record.other_loss)
    assert again.point == record.point


def test_another_network_beside_is_refused(objective):
    with pytest.raises(ValueError, match="`other` must be an objective of the same network"):
        NoiseRobustness()(objective("mlp"), other=objective("tied"))


def test_rise_is_half_the_noise_seen_by_the_hessian(objective, dense_hessian):
    """E[L(w + σsξ)] − L(w) = σ²/2 Σ_i s_i² H_ii for small σ, on a network, within its own error."""
    subject, sigma = objective("mlp"), 1e-3
    rms = [p.detach().square().mean().sqrt() for p in subject.model.parameters()]
    s = torch.cat([
        (r if p.dim() > 1 else 0 * r).expand(p.numel())
        for r, p in zip(rms, subject.model.parameters(), strict=True)
    ])  # fmt: skip
    expected = sigma**2 / 2 * (s**2 @ dense_hessian(subject).diagonal()).item()
    record = NoiseRobustness(sigmas=(sigma,), draws=400, scale="rms")(subject)
    step = torch.stack(
        [
            torch.randn(53, generator=g)
            for g in [torch.Generator().manual_seed(0)]
            for _ in range(400)
        ]
    )
    slope = (
        sigma * (step.double() * s) @ subject.grad()
    )  # odd in ξ: its mean is zero, known exactly
    rise = record.loss[0] - record.clean_loss - slope.numpy()
    assert abs(rise.mean() - expected) < 4.5 * rise.std(ddof=1) / 400**0.5
    assert rise.std(ddof=1) / 400**0.5 < 0.2 * abs(expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigmas": (-0.1, 0.1)}, "`sigmas` must be non-negative"),
        ({"sigmas": ()}, "`sigmas` must be non-negative levels"),
        ({"sigmas": (0.2, 0.1)}, "`sigmas` must rise"),
        ({"sigmas": (0.0, float("nan"))}, "`sigmas` must be non-negative"),
        ({"draws": 1}, "`draws` must be at least 2"),
        ({"scale": "layer"}, "`scale` must be one of max, rms, .* Got 'layer'"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        NoiseRobustness(**settings)
