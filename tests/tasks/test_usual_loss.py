"""The loss that is taken where none is named: by the targets, and independent of the batching."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures.context import name_of, point_of
from landscape.network.batch import Batch
from landscape.tasks import usual_loss


def multi_label():
    torch.manual_seed(0)
    x = torch.randn(12, 5, dtype=torch.float64)
    return nn.Linear(5, 3).double(), Batch(x, (x[:, :3] > 0).double())


def test_targets_that_are_all_0_or_1_have_binary_cross_entropy():
    model, batch = multi_label()
    with pytest.warns(UserWarning, match="the loss is binary cross-entropy"):
        loss = usual_loss.chosen_for([batch])
    objective = Objective(model, [batch], loss)
    z = model(batch.x)
    by_hand = (z.exp().log1p() - batch.y * z).mean().item()  # -log of the sigmoids
    assert objective.value() == pytest.approx(by_hand, rel=1e-12)
    assert point_of(objective).loss_function == "usual_loss(binary=True)"


@pytest.mark.parametrize("y", [torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0, 1, 1]), None])
def test_other_targets_are_chosen_without_a_word(y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert usual_loss.chosen_for([Batch(torch.zeros(3, 2), y)]) is usual_loss.usual_loss


@pytest.mark.parametrize("sharp", [True, False])
def test_rows_of_probabilities_have_cross_entropy(sharp):
    model, batch = multi_label()
    y = torch.eye(3, dtype=torch.float64)[torch.arange(12) % 3]
    y = y if sharp else 0.9 * y + 0.1 / 3
    with pytest.warns(UserWarning, match="cross-entropy with these probabilities"):
        loss = usual_loss.chosen_for([Batch(batch.x, y)])
    z = model(batch.x)
    by_hand = -(y * (z - z.logsumexp(1, keepdim=True))).sum(1).mean().item()
    assert Objective(model, [(batch.x, y)], loss).value() == pytest.approx(by_hand, rel=1e-12)


def test_sequences_of_unequal_length_count_by_their_targets():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 9)).double()
    pieces = [
        (torch.randint(0, 9, (n, t)), torch.randint(0, 9, (n, t))) for n, t in ((1, 2), (3, 5))
    ]
    z, y = torch.cat([model(x).flatten(0, 1) for x, _ in pieces]), [y.flatten() for _, y in pieces]
    batches = usual_loss.weighted([Batch(x, y) for x, y in pieces])
    value = Objective(model, batches, usual_loss.usual_loss).value()
    assert value == pytest.approx(F.cross_entropy(z, torch.cat(y)).item(), rel=1e-12)


def test_a_batch_whose_targets_are_all_left_out_counts_nothing():
    model, x = nn.Linear(5, 3).double(), torch.ones(4, 5, dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 1])
    batches = usual_loss.weighted([Batch(x, y), Batch(x, torch.full((4,), -100))])
    value = Objective(model, batches, usual_loss.usual_loss).value()
    assert value == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "y", "message"),
    [
        ((4, 1), torch.zeros(4, dtype=torch.int64), "one number per example"),
        ((2, 3, 3, 3), torch.ones(2, 3, 3, dtype=torch.int64), "may stand second or last"),
    ],
)
def test_classes_that_are_unclear_are_refused(shape, y, message):
    model = nn.Sequential(nn.Linear(1, torch.Size(shape[1:]).numel()))
    model.append(nn.Unflatten(1, shape[1:]))
    with pytest.raises(ValueError, match=message):
        usual_loss.usual_loss(model, Batch(torch.ones(shape[0], 1), y))


def test_padded_tokens_count_in_no_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 9)).double()
    x, y = torch.randint(0, 9, (4, 5)), torch.randint(0, 9, (4, 5))
    y[0, 2:] = y[3, 4:] = -100
    expected = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
    for pieces in ([slice(4)], [slice(1), slice(1, 4)], [slice(2), slice(2, 4)]):
        batches = usual_loss.weighted([Batch(x[rows], y[rows]) for rows in pieces])
        value = Objective(model, batches, usual_loss.usual_loss).value()
        assert value == pytest.approx(expected, rel=1e-12)


def test_given_weights_and_targets_that_all_count_stay():
    x, y = torch.zeros(3, 2), torch.tensor([0, 1, -1])
    (kept,) = usual_loss.weighted([Batch(x, y, weight=7.0)])
    assert kept.weight == 7.0
    (plain,) = usual_loss.weighted([Batch(x, y.abs())])
    assert plain.weight is None


def test_a_loss_is_named_by_its_function_or_class():
    assert name_of(F.mse_loss) == "mse_loss"
    assert name_of(nn.MSELoss()) == "MSELoss"
