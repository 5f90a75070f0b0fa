"""Tasks: every name leads to a model and a data set that fit; the loss is a mean over places."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.data import DATA
from landscape.models import MODELS
from landscape.network.batch import Batch
from landscape.tasks import registration, registry
from landscape.tasks.registration import UserCode, register, registered
from landscape.tasks.registry import TASKS, cross_entropy, task
from landscape.training.train import settings_for

IMAGES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "fashion-mnist": (1, 28, 28)}
IMAGES |= {"cifar10": (3, 32, 32), "cifar100": (3, 32, 32), "canvas-digits": (1, 24, 24)}
TEXTS = {
    "sst2": (64, 8192, (2,)),
    "shakespeare": (128, 256, (128, 256)),
    "text": (128, 256, (128, 256)),
    "python-text": (128, 256, (128, 256)),
    "intact-text": (64, 256, (2,)),
    "rte": (128, 8192, (2,)),
}
CLASSES = {"cifar100": 100, "digits-low": 5, "digits-high": 5}
PLACES = {"canvas-digits": (24, 24, 3)}  # a class for each pixel


@pytest.mark.parametrize("name", TASKS)
def test_the_model_fits_the_data(name):
    """Shapes of the data's examples and of the logits, on torch's meta device."""
    chosen = task(name)
    assert chosen.name == name and chosen.model in MODELS and chosen.data in DATA
    with torch.device("meta"):
        model = chosen.build()
        if chosen.data in TEXTS:
            length, _, outputs = TEXTS[chosen.data]
            x = torch.zeros(2, length, dtype=torch.int64)
        else:
            x = torch.empty(2, *IMAGES[chosen.data])
            outputs = PLACES.get(chosen.data, (CLASSES.get(chosen.data, CLASSES.get(name, 10)),))
        assert model(x).shape == (2, *outputs)
    if chosen.data in TEXTS:
        assert model.tokens.num_embeddings == TEXTS[chosen.data][1]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("method", ["sgd", "adamw", "sam", "lets+asam"])
def test_the_defaults_are_settings(name, method):
    chosen = settings_for(name, method, 0, {})
    assert chosen.training.epochs >= 1
    over_adamw = chosen.training.optimizer == "adamw"
    transformer = any(word in name for word in ("transformer", "vit", "-text"))
    assert over_adamw == (transformer and method != "sgd")


def test_only_images_are_augmented(tmp_path):
    (tmp_path / "input.txt").write_text("to be or not to be " * 200)
    assert DATA["shakespeare"](tmp_path).augment is None


def test_the_loss_of_sequences_is_the_mean_over_places():
    """And that of examples is as it always was, bit for bit."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4, 5, 7, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 7, (4, 5), generator=generator)
    one_by_one = [-z[i, j].log_softmax(0)[y[i, j]] for i in range(4) for j in range(5)]
    found = cross_entropy(nn.Identity(), Batch(z, y))
    torch.testing.assert_close(found, torch.stack(one_by_one).mean())
    plain = cross_entropy(nn.Identity(), Batch(z[:, 0], y[:, 0]))
    assert torch.equal(plain, F.cross_entropy(z[:, 0], y[:, 0]))


def test_smoothing_mixes_in_the_mean_over_classes():
    z, y = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    nll = -z.log_softmax(1)[0]
    found = cross_entropy(nn.Identity(), Batch(z, y), label_smoothing=0.3)
    torch.testing.assert_close(found, 0.7 * nll[0] + 0.3 * nll.mean())


def test_a_stored_task_reads_as_before_it_said_how_many_examples_are_measured(monkeypatch):
    monkeypatch.setattr(registry, "TASKS", dict(TASKS))
    monkeypatch.setattr(registration, "_tasks", {})
    plain = {"name": "mine", "summary": "", "model": "mlp", "data": "digits"}
    for measured, stored in ((1000, False), (7, True)):
        register(UserCode(task={**plain, "measured": measured}))
        assert ("measured" in registered("mine", []).task) == stored
        assert task("mine").measured == measured
