"""AACE compares logits with the labels that the loss compares them with, or says what to give."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.methods import AACE
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.optim import wrap

CLASSES = 5


class Language(nn.Module):
    """Logits (n, T, classes) of the next token; the labels are shifted inside, as is usual."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.tokens, self.mix = nn.Embedding(CLASSES, 4), nn.Linear(4, 4)
        self.drop, self.head = nn.Dropout(dropout), nn.Linear(4, CLASSES)

    def forward(self, input_ids):
        return self.head(self.drop(self.mix(self.tokens(input_ids).cumsum(1)).tanh()))


class Answering(Language):
    """The same, called by keywords with its labels."""

    def forward(self, input_ids, labels):
        z = super().forward(input_ids)
        return {"loss": F.cross_entropy(z[:, :-1].flatten(0, 1), labels[:, 1:].flatten()), "z": z}


def plain(model, batch):
    return F.cross_entropy(model(batch.x).flatten(0, 1), batch.y.flatten(), ignore_index=-100)


def shifted(model, batch, **options):
    z, y = model(batch.x)[:, :-1], batch.y[:, 1:]
    return F.cross_entropy(z.flatten(0, 1), y.flatten(), **options)


def smoothed(model, batch):
    return shifted(model, batch, label_smoothing=0.1)


def of_inputs(model, batch):
    """Takes the labels from the inputs."""
    return shifted(model, Batch(batch.x, batch.x))


@pytest.fixture
def sequences():
    ids = torch.randint(0, CLASSES, (6, 4), generator=torch.Generator().manual_seed(0))
    masked = ids.clone()
    masked[:, 0] = -100  # as a prompt's
    return ids, masked


def stepper(loss, model=None, **options):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Language().double() if model is None else model().double()
    base = torch.optim.SGD(model.parameters(), lr=0.3)
    return wrap(AACE(rho=0.5), model, base, loss, **options)


@pytest.mark.parametrize("loss", [shifted, smoothed, of_inputs])
@pytest.mark.parametrize("masked", [False, True])
def test_labels_that_the_loss_shifts_are_refused(loss, masked, sequences):
    ours = stepper(loss)
    w = ours.walker.w
    with pytest.raises(ValueError, match=r"it shifts the labels.*labels\[:, 1:\]"):
        ours.step((sequences[0], sequences[masked]))
    assert torch.equal(ours.walker.w, w)


def test_in_a_mapping_of_micro_batches_too(sequences):
    ids, labels = sequences
    ours = stepper(lambda m, b: m(**b.x)["loss"], Answering, logits=lambda m, b: m(**b.x)["z"])
    for given in ({"input_ids": ids, "labels": labels}, [{"input_ids": ids, "labels": ids}] * 3):
        with pytest.raises(ValueError, match="it shifts the labels"):
            ours.step(given)


def naive_step(model, loss, adversarial, rho=0.5, lr=0.3):
    """w - lr ∇L(w - ρ ∇ adversarial), in place."""
    ps = list(model.parameters())
    a = torch.autograd.grad(adversarial(), ps)
    with torch.no_grad():
        for p, d in zip(ps, a, strict=True):
            p -= rho * d
    g = torch.autograd.grad(loss(), ps)
    with torch.no_grad():
        for p, d, e in zip(ps, a, g, strict=True):
            p += rho * d - lr * e


def naive(z, y):
    """-log(1 - p_y), the mean."""
    return -(1 - z.softmax(-1).gather(-1, y[:, None])).log().mean()


def apart(ours, theirs):
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def test_shifted_labels_and_logits_as_the_message_says(sequences):
    """Against a plain loop over the places whose next token is known."""
    ids, _ = sequences
    ours = stepper(
        lambda m, b: m(**b.x)["loss"], Answering, logits=lambda m, b: m(**b.x)["z"][:, :-1]
    )
    theirs = copy.deepcopy(ours.walker.model)

    def rows():
        return theirs(ids, ids)["z"][:, :-1].flatten(0, 1), ids[:, 1:].flatten()

    for _ in range(3):
        ours.step(Batch({"input_ids": ids, "labels": ids}, ids[:, 1:]))
        naive_step(theirs, lambda: F.cross_entropy(*rows()), lambda: naive(*rows()))
        assert apart(ours.walker.model, theirs) < 1e-12


def test_inputs_as_labels_with_the_shift_in_y(sequences):
    """The loss does not depend on y, and its value says that the labels are the same."""
    ids, _ = sequences
    ours = stepper(of_inputs, logits=lambda m, b: m(b.x)[:, :-1])
    assert torch.isfinite(ours.step(Batch(ids, ids[:, 1:])))


@pytest.mark.parametrize("masked", [False, True])
def test_labels_in_their_place_are_stepped_without_a_trace(masked, sequences):
    """The same draws of dropout, and the same count of passes, as if nobody had looked."""
    steppers = [stepper(plain, lambda: Language(dropout=0.4)) for _ in range(2)]
    steppers[1].method.tries = 0
    for ours in steppers:
        ours.step((sequences[0], sequences[masked]))
    first, second = (ours.walker for ours in steppers)
    assert torch.equal(first.w, second.w)
    assert first.grad_evals == second.grad_evals == 2.0
    assert steppers[0].method.tries == 0


def test_a_batch_that_cannot_tell_leaves_it_to_the_next(sequences):
    """With a head of zeros every label costs the same."""
    ours = stepper(shifted)
    head = ours.walker.model.head
    for p in head.parameters():
        nn.init.zeros_(p)
    ours.step((sequences[0], sequences[0]))
    with pytest.raises(ValueError, match="it shifts the labels"):
        ours.step((sequences[0], sequences[0]))


@pytest.mark.parametrize("ignored", [-100, 255])
def test_labels_outside_the_classes_are_not_counted(ignored, small_net, batch):
    """The step on the counted examples alone, and their loss."""
    y = batch.y.clone()
    y[::3] = ignored
    kept = y != ignored

    def stepped(data, **options):
        model = small_net()
        walker = Walker(
            model,
            torch.optim.SGD(model.parameters(), lr=0.1),
            lambda m, b: F.cross_entropy(m(b.x), b.y, **options),
        )
        AACE().step(walker, data)
        return walker

    ours = stepped(Batch(batch.x, y), ignore_index=ignored)
    theirs = stepped(Batch(batch.x[kept], y[kept]))
    torch.testing.assert_close(ours.w, theirs.w, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours.step_loss, theirs.step_loss)


def binary(model, batch):
    return F.binary_cross_entropy_with_logits(model(batch.x).squeeze(-1), batch.y.double())


def test_one_logit_is_refused_with_what_to_return(batch):
    """As two logits it is the step of a plain loop: the loss with the labels flipped."""
    model = nn.Linear(6, 1).double()
    base = torch.optim.SGD(model.parameters(), lr=0.3)
    theirs, y = copy.deepcopy(model), batch.y % 2
    for logits in (None, lambda m, b: m(b.x).squeeze(-1)):
        for targets in (y, y.double()):
            with pytest.raises(ValueError, match=r"needs a logit for each class.*zeros_like"):
                wrap("aace", model, base, binary, logits=logits).step((batch.x, targets))

    def two(m, b):
        z = m(b.x).squeeze(-1)
        return torch.stack((torch.zeros_like(z), z), -1)

    ours = wrap(AACE(rho=0.5), model, base, binary, logits=two)
    for _ in range(3):
        ours.step((batch.x, y))
        naive_step(
            theirs,
            lambda: binary(theirs, Batch(batch.x, y)),
            lambda: binary(theirs, Batch(batch.x, 1 - y)),
        )
        assert apart(model, theirs) < 1e-12


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (lambda y: F.one_hot(y, 3).double(), "soft targets have no one label"),
        (lambda y: (y, y.flip(0), torch.full((len(y),), 0.3)), "Got targets of type tuple"),
        (lambda y: {"y": y}, "Got targets of type dict"),
        (lambda y: None, "Got targets of type NoneType"),
        (lambda y: F.one_hot(y, 3), "one for each row of logits. Got targets torch.int64"),
    ],
)
def test_targets_that_are_no_labels_are_refused(targets, message, batch, watched_walker):
    walker = watched_walker(loss=lambda m, b: m(b.x).square().mean())
    with pytest.raises(ValueError, match=message):
        AACE().step(walker, Batch(batch.x, targets(batch.y)))


def test_logits_that_are_no_tensor_are_refused(batch, watched_walker):
    walker = watched_walker(logits=lambda m, b: {"logits": m(b.x)})
    with pytest.raises(ValueError, match=r"logits of type dict: .* return a tensor from `logits=`"):
        AACE().step(walker, batch)


@pytest.fixture
def points():
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=draws, dtype=torch.float64)
    return x, torch.randint(CLASSES, (6,), generator=draws)


def classifier():
    return nn.Linear(4, CLASSES)


def of_some(model, batch):
    """A loss of the first three rows, as of a graph's training nodes."""
    return F.cross_entropy(model(batch.x)[:3], batch.y[:3])


def of_some_by_weights(model, batch):
    each = F.cross_entropy(model(batch.x), batch.y.clamp(min=0), reduction="none")
    return each[:3].sum() / 3 + 0 * each[3:].sum()


@pytest.mark.parametrize("loss", [of_some, of_some_by_weights])
def test_rows_that_the_loss_leaves_out_are_refused(loss, points):
    x, y = points
    ours = stepper(loss, classifier)
    w = ours.walker.w
    with pytest.raises(ValueError, match=r"it leaves rows out.* Give -100"):
        ours.step((x, y))
    assert torch.equal(ours.walker.w, w)


@pytest.mark.parametrize("loss", [of_some, of_some_by_weights])
def test_rows_left_out_as_the_message_says(loss, points):
    """Against a plain loop over the first three rows."""
    x, y = points
    ours = stepper(loss, classifier)
    theirs = copy.deepcopy(ours.walker.model)
    y[3:] = -100
    for _ in range(3):
        ours.step((x, y))
        naive_step(
            theirs,
            lambda: F.cross_entropy(theirs(x[:3]), y[:3]),
            lambda: naive(theirs(x[:3]), y[:3]),
        )
    assert apart(ours.walker.model, theirs) < 1e-12


def margin(model, batch):
    return F.multi_margin_loss(model(batch.x), batch.y, margin=0.1)


def hardest(model, batch):
    return F.cross_entropy(model(batch.x), batch.y, reduction="none").topk(3).values.mean()


@pytest.mark.parametrize("loss", [margin, hardest])
def test_rows_that_count_by_their_margin_stay(loss, points):
    """Their gradient is zero at this point, and yet the loss depends on their labels."""
    x, y = points
    ours = stepper(loss, classifier)
    ours.step((x, y))


def test_one_more_loss_is_taken_where_every_row_counts(points):
    x, y = points
    calls = []

    def loss(model, batch):
        calls.append(batch)
        return F.cross_entropy(model(batch.x), batch.y)

    ours = stepper(loss, classifier)
    ours.step((x, y))
    first = len(calls)
    ours.step((x, y))
    assert len(calls) - first == first - 1
