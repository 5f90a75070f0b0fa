"""AACE against the authors' definition, its closed form and its sign."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.methods import AACE
from landscape.methods import aace as aace_module
from landscape.methods.aace import aace
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def coded(z, y, threshold=0.0):
    """The authors' definition: KL(q ‖ p), q the wrong classes' p over their sum, q_y capped."""
    p = z.softmax(-1)
    right = F.one_hot(y, z.shape[-1]).bool()
    wrong = p.masked_fill(right, 0.0)
    q = torch.where(right, p.clamp(max=threshold), wrong / wrong.sum(-1, keepdim=True)).detach()
    return (torch.xlogy(q, q) - q * p.log()).sum(-1)


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    z = 2 * torch.randn(7, 4, generator=generator, dtype=torch.float64)
    return z.requires_grad_(), torch.arange(7) % 4


@pytest.mark.parametrize("threshold", [0.0, 0.2, 1.0])
def test_value_and_gradient_of_the_definition(threshold, logits):
    z, y = logits
    ours, theirs = aace(z, y, threshold), coded(z, y, threshold)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
    (a,), (b,) = (torch.autograd.grad(v.sum(), z) for v in (ours, theirs))
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)
    p_y = z.softmax(-1).gather(1, y[:, None]).detach()
    q_y = p_y.clamp(max=threshold)
    away = F.one_hot(y, 4) - z.softmax(-1).scatter(1, y[:, None], 0.0) / (1 - p_y)
    torch.testing.assert_close(a, (p_y + p_y * q_y - q_y) * away, rtol=1e-10, atol=1e-12)


def test_each_example_is_cross_entropy_times_minus_its_odds(logits):
    z, y = logits
    (a,) = torch.autograd.grad(aace(z, y).sum(), z)
    (g,) = torch.autograd.grad(F.cross_entropy(z, y, reduction="sum"), z)
    p_y = z.softmax(-1).gather(1, y[:, None])
    torch.testing.assert_close(a, -p_y / (1 - p_y) * g, rtol=1e-11, atol=1e-13)


def test_a_vector_by_hand():
    z = torch.tensor([[2.0, 0.0, -1.0]], dtype=torch.float64, requires_grad=True)
    value = aace(z, torch.tensor([0]))
    (a,) = torch.autograd.grad(value.sum(), z)
    assert value.item() == pytest.approx(1.8565843320, abs=1e-10)
    assert a[0].tolist() == pytest.approx([0.84379473, -0.61686338, -0.22693136], abs=1e-8)


def test_two_classes_flip_the_label(logits):
    z, y = logits[0][:, :2], logits[1] % 2
    torch.testing.assert_close(aace(z, y), F.cross_entropy(z, 1 - y, reduction="none"))


def test_a_saturated_network_stays_finite():
    """A gap of 1000 in float32, where the authors' target is 0/0."""
    z = torch.tensor([[1000.0, 0.0, 0.0]], requires_grad=True)
    value = aace(z, torch.tensor([0]))
    (a,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(value, torch.tensor([1000.0 - 0.6931472]))
    assert a[0].tolist() == pytest.approx([1.0, -0.5, -0.5])


def test_only_the_adaptive_mode_is_antiparallel(logits):
    z, y = logits
    (g,) = torch.autograd.grad(F.cross_entropy(z, y, reduction="sum"), z)
    for mode, all_antiparallel in (("ada", True), ("const", False), ("rand", False)):
        with torch.random.fork_rng():
            (a,) = torch.autograd.grad(aace(z, y, mode=mode).sum(), z)
        cosines = F.cosine_similarity(a, g)
        assert torch.allclose(cosines, torch.tensor(-1.0, dtype=torch.float64)) == all_antiparallel


def test_constant_and_random_targets_by_hand(logits):
    """KL of 1/(C - 1), and of normalised uniform draws, to the softmax."""
    z, y = logits
    right = F.one_hot(y, 4).bool()
    log_p = z.log_softmax(-1)
    expected = -(log_p.masked_fill(right, 0.0).sum(-1) / 3) - torch.tensor(3.0).log()
    torch.testing.assert_close(aace(z, y, mode="const"), expected)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        draws = torch.rand_like(z).masked_fill(right, 0.0)
        torch.manual_seed(5)
        found = aace(z, y, mode="rand")
    q = draws / draws.sum(-1, keepdim=True)
    torch.testing.assert_close(found, (torch.xlogy(q, q) - q * log_p).sum(-1))


@pytest.mark.parametrize("normalize", [False, True])
def test_against_the_box(normalize, stepper, watched_walker, batch):
    """w~ = w - ρ a (or - ρ a/‖a‖), where the loss is higher; the descent takes its gradient."""
    ours = stepper("aace", {"aace": {"rho": 0.3, "normalize": normalize}})
    w = ours.walker.w
    plain = watched_walker()
    a = plain.grad(batch, loss=lambda m, b: coded(m(b.x), b.y).mean())
    e = 0.3 * a / (a.norm() if normalize else 1.0)
    ours.step(batch)
    torch.testing.assert_close(ours.walker.points[0], w - e, rtol=1e-10, atol=1e-12)
    assert plain.value(batch, at=w - e) > plain.value(batch, at=w) > plain.value(batch, at=w + e)
    expected = plain.grad(batch, at=w - e)
    torch.testing.assert_close(ours.walker.descents[0][1], expected, rtol=1e-10, atol=1e-11)


def test_the_perturbation_grows_as_the_loss_dies(batches):
    """A separable toy: cross-entropy's gradient vanishes, e does not; ‖a‖ = ‖g‖/2 at W = 0."""
    (batch,) = batches(1, size=6)
    net = nn.Linear(6, 3).double()
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    walker = Walker(net, torch.optim.SGD(net.parameters(), lr=1.0), cross_entropy)

    def lengths():
        a = walker.grad(batch, loss=lambda m, b: aace(m(b.x), b.y).mean())
        return a.norm().item(), walker.grad(batch).norm().item()

    first, g = lengths()
    assert first == pytest.approx(g / 2)
    for _ in range(300):
        AACE().step(walker, batch)
    last, g_last = lengths()
    assert g_last < 0.05 * g
    assert last > first


def test_ignored_targets_are_left_out(watched_walker, batch):
    y = batch.y.clone()
    y[:4] = -100
    full, part = watched_walker(), watched_walker()
    AACE().step(full, type(batch)(batch.x, y))
    AACE().step(part, type(batch)(batch.x[4:], y[4:]))
    torch.testing.assert_close(full.w, part.w)


def test_wrong_settings_and_targets_are_refused(watched_walker, batch):
    with pytest.raises(ValueError, match=r"one of ada, const, rand. Got 'adaptive'."):
        AACE(mode="adaptive")
    with pytest.raises(ValueError, match=r"`threshold` must lie in \[0, 1\]. Got 2."):
        AACE(threshold=2.0)
    with pytest.raises(ValueError, match="`rho` must be non-negative"):
        AACE(rho=-1.0)
    with pytest.raises(ValueError, match="AACE needs integer targets"):
        AACE().step(watched_walker(), type(batch)(batch.x, batch.x[:, 0]))


def test_sequences_are_their_tokens(small_net):
    """Outputs (B, T, C) with targets (B, T), some ignored: as B·T examples without those."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 4, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (3, 4), generator=generator)
    y[0, 2:] = -100

    def ignoring(model, batch):
        return F.cross_entropy(model(batch.x).flatten(0, -2), batch.y.flatten())

    walkers = [
        Walker(net, torch.optim.SGD(net.parameters(), lr=0.1), ignoring)
        for net in (small_net(), small_net())
    ]
    AACE().step(walkers[0], Batch(x, y))
    AACE().step(walkers[1], Batch(x.flatten(0, 1)[y.flatten() >= 0], y[y >= 0]))
    torch.testing.assert_close(walkers[0].w, walkers[1].w, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(walkers[0].step_loss, walkers[1].step_loss)


@pytest.mark.parametrize("name", ["msam+aace", "lookbehind+aace", "lookbehind+msam+aace"])
def test_the_loss_is_that_of_the_passes_at_w(name, stepper, batch):
    """Of all shards, uneven ones by their examples, and of no look."""
    ours = stepper(name, {"msam": {"num_shards": 5}})
    expected = cross_entropy(ours.walker.model, batch).detach()
    torch.testing.assert_close(ours.step(batch), expected)


def test_the_climb_has_its_length(stepper, batch):
    """ρ‖a‖, or ρ where normalised."""
    for normalize in (False, True):
        ours = stepper("aace", {"aace": {"rho": 0.3, "normalize": normalize}})
        w = ours.walker.w
        ours.step(batch)
        a = ours.walker.own[0].norm().item()
        length = (ours.walker.points[0] - w).norm().item()
        assert length == pytest.approx(0.3 if normalize else 0.3 * a)


class Answer(dict):
    """As transformers' models answer: a mapping with its entries as attributes."""

    def __getattr__(self, name):
        return self[name]


class Keywords(nn.Module):
    """Takes a batch by keywords, with its labels; `rest` makes the logits longer."""

    def __init__(self, net, rest=()):
        super().__init__()
        self.net, self.rest = net, rest

    def forward(self, features, labels=None):
        z = self.net(features)
        loss = None if labels is None else F.cross_entropy(z, labels)
        return Answer(loss=loss, logits=z.view(len(z), *self.rest, z.shape[-1]))


def stepped(model, batch, loss):
    """w after one step of AACE."""
    walker = Walker(model, torch.optim.SGD(model.parameters(), lr=0.1), loss)
    walker.begin(batch.size)
    AACE().step(walker, batch)
    walker.begin(None)
    return walker.w


def test_batches_as_hugging_face_yields_them(small_net, batch):
    """The same step as on plain tensors."""
    plain = stepped(small_net(), batch, cross_entropy)
    x = {"features": batch.x, "labels": batch.y}
    theirs = Batch(x, batch.y)
    found = stepped(Keywords(small_net()), theirs, lambda model, batch: model(**batch.x).loss)
    torch.testing.assert_close(found, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rest", [(1,), (1, 1)])
def test_an_answer_without_plain_logits_is_refused(small_net, batch, rest):
    """Logits of a language model stand one place before their targets."""
    x = {"features": batch.x, "labels": batch.y}
    with pytest.raises(ValueError, match=r"answers with a Answer\. Give `logits`"):
        stepped(Keywords(small_net(), rest), Batch(x, batch.y), lambda m, b: m(**b.x).loss)


class Probabilities(nn.Module):
    """A network that answers with probabilities, or their logs."""

    def __init__(self, net, logs):
        super().__init__()
        self.net, self.logs = net, logs

    def forward(self, x):
        p = self.net(x).softmax(-1)
        return p.log() if self.logs else p


def nll(model, batch):
    answer = model(batch.x)
    return F.nll_loss((answer if model.logs else answer.log()).flatten(0, -2), batch.y.flatten())


def walker_of(model, loss, **options):
    return Walker(model, torch.optim.SGD(model.parameters(), lr=0.1), loss, **options)


@pytest.mark.parametrize("sequences", [False, True])
def test_probabilities_are_refused_before_the_first_step(sequences, small_net, batch):
    x, y = batch.x, batch.y
    if sequences:
        x, y = (t[: len(t) // 2 * 2].unflatten(0, (2, -1)) for t in (x, y))
    walker = walker_of(Probabilities(small_net(), logs=False), nll)
    before = walker.w.clone()
    with pytest.raises(ValueError, match=r"AACE needs logits.* model\(batch\.x\)\.log\(\)"):
        AACE().step(walker, Batch(x, y))
    assert torch.equal(walker.w, before)


@pytest.mark.parametrize("logs", [True, False])
def test_logs_of_probabilities_make_the_step_of_logits(logs, small_net, batch):
    logits = None if logs else lambda model, batch: model(batch.x).log()
    of_logs = walker_of(Probabilities(small_net(), logs), nll, logits=logits)
    of_logits = walker_of(small_net(), cross_entropy)
    for walker in (of_logs, of_logits):
        method = AACE()
        for _ in range(2):
            method.step(walker, batch)
    torch.testing.assert_close(of_logs.w, of_logits.w, rtol=1e-10, atol=1e-12)


def test_answers_are_looked_at_once(small_net, batch, monkeypatch):
    """A look at all answers in each pass would cost time, on a GPU a wait."""
    seen, method, walker = [], AACE(), walker_of(small_net(), cross_entropy)
    monkeypatch.setattr(aace_module, "refuse_probabilities", lambda z, asker: seen.append(asker))
    for _ in range(3):
        method.step(walker, batch)
    assert seen == ["AACE"]
