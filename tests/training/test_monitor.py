"""Looks along a run: right numbers, no trace in the training, one file that grows and resumes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.measures import Eigenvalues, Trace
from landscape.methods import make
from landscape.network.batch import Batch
from landscape.objective.objective import Objective
from landscape.tasks.registry import cross_entropy
from landscape.training import tables
from landscape.training.checkpoint import load_tensors
from landscape.training.monitor import SharpnessMonitor, ascent_gain, climb_of, threshold
from landscape.training.run import Run
from landscape.training.train import train

pytestmark = pytest.mark.slow  # runs the program from end to end

SHORT = {"epochs": 2, "device": "cpu", "measure_examples": 100}


def trained(out, method="sam", task="digits", progress=None, batch_size=64, **settings):
    options = {} if progress is None else {"progress": progress}
    chosen = {"training": {**SHORT, **settings}, "data": {"batch_size": batch_size}}
    return train(task, method, 1, out, settings=chosen, resume=True, **options)


def weights(run):
    return load_tensors(run.path / "weights.safetensors")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("watched") / "r", measure_every=5)


@pytest.mark.parametrize(
    "method, task, policy",
    [("lets+msam", "digits", "stored"), ("sgd", "digits-cnn", "batch"), ("sam", "digits", "batch")],
)
def test_the_training_is_the_same_bit_for_bit(tmp_path, method, task, policy):
    options = {"measure_every": 3, "measure_batch_norm": policy, "measure_examples": 40}
    few = {"epochs": 1, "batch_size": 200}  # six steps
    seen = trained(tmp_path / "a", method, task, **few, **options)
    blind = trained(tmp_path / "b", method, task, **few)
    ours, theirs = weights(seen), weights(blind)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    timing = {"seconds", "examples_per_second"}
    for a, b in zip(seen.metrics, blind.metrics, strict=True):
        assert {k: v for k, v in a.items() if k not in timing} == pytest.approx(
            {k: v for k, v in b.items() if k not in timing}, rel=0, abs=0, nan_ok=True
        )
    assert not (blind.path / "sharpness.jsonl").exists()


def test_rows_come_every_so_many_steps_and_at_the_end(watched):
    record = watched.records()["sharpness_over_training"]
    assert record.step.tolist() == [0, 5, 10, 15, 20, 25, 30, 35, 36]
    assert record.epoch.tolist() == pytest.approx([step / 18 for step in record.step])
    cosine = [0.1 * (1 + math.cos(math.pi * step / 36)) for step in record.step[:-1]]
    assert record.learning_rate[:-1].tolist() == pytest.approx(cosine)
    assert record.learning_rate[-1] == pytest.approx(0.1 * (1 + math.cos(math.pi * 35 / 36)))
    assert record.threshold.tolist() == pytest.approx(3.8 / record.learning_rate - 5e-4)
    assert (record.ascent_gain > 0).all()
    assert (record.lambda_bound <= 2e-3 * record.lambda_max.max()).all()


def test_the_last_row_is_what_the_measures_say_of_the_run(watched):
    record = watched.records()["sharpness_over_training"]
    objective = watched.objective("train", examples=100, device="cpu")
    exact = Eigenvalues(k=1, which="largest")(objective)
    assert abs(record.lambda_max[-1] - exact.values[0]) <= record.lambda_bound[-1] + 1e-4
    assert record.point.fingerprint == exact.point.fingerprint
    assert record.point.loss == record.loss[-1] == pytest.approx(exact.point.loss, rel=1e-6)
    assert (record.point.examples, record.point.split) == (100, "train")
    trace = Trace(tolerance=0.01)(objective).value
    assert abs(record.trace[-1] - trace) < 4.5 * record.trace_stderr[-1] + 0.01 * trace
    assert record.settings["seed"] == 1
    assert record.provenance["data_fingerprint"]


def test_a_resumed_run_goes_on_with_the_file(watched, tmp_path):
    """Stopped within the second epoch, after looks that the resumed run does not take again."""

    def stop(message):
        if message.done > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "r", measure_every=5, progress=stop)
    steps = [row["step"] for row in tables.read(tmp_path / "r" / "sharpness.jsonl")]
    assert steps == [0, 5, 10, 15, 20, 25, 30]  # as they came
    run = trained(tmp_path / "r", measure_every=5)
    for name in ("sharpness.jsonl", "sharpness.csv"):
        assert (run.path / name).read_bytes() == (watched.path / name).read_bytes()
    assert all(
        torch.equal(a, b)
        for a, b in zip(*(weights(r).values() for r in (run, watched)), strict=True)
    )
    assert Run.open(run.path).records().keys() == {"curves", "sharpness_over_training"}


def test_time_of_looks_is_not_time_of_training(tmp_path, monkeypatch):
    import time

    plain = SharpnessMonitor.__call__

    def slow(self, lr):
        time.sleep(0.2)
        return plain(self, lr)

    monkeypatch.setattr(SharpnessMonitor, "__call__", slow)
    run = trained(tmp_path / "r", "sgd", epochs=1, measure_every=3, measure_examples=20)
    assert run.metrics[-1]["seconds"] < 0.9


def test_a_run_that_diverges_keeps_its_looks(tmp_path):
    run = trained(tmp_path / "r", "sgd", lr=1e4, momentum=0.99, measure_every=1)
    assert run.status["state"] == "diverged"
    record = Run.open(run.path).records()["sharpness_over_training"]
    assert len(record.step) > 2 and math.isnan(record.lambda_max[-1])


@pytest.mark.parametrize("momentum, nesterov", [(0.0, False), (0.5, False), (0.9, True)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_below_the_threshold_steps_shrink_and_above_they_grow(momentum, nesterov, decay):
    """Torch's own SGD on L = λw²/2."""
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    sgd = torch.optim.SGD([w], 0.3, momentum, nesterov=nesterov, weight_decay=decay)
    edge = threshold(sgd, 0.3)
    for factor, grows in ((0.99, False), (1.01, True)):
        sgd.state.clear()
        with torch.no_grad():
            w.fill_(1.0)
        for _ in range(600):
            w.grad = factor * edge * w.detach()
            sgd.step()
        assert (abs(w.item()) > 1.0) == grows


def test_adam_has_no_threshold():
    w = nn.Parameter(torch.ones(1))
    assert math.isnan(threshold(torch.optim.AdamW([w]), 0.1))


def test_gain_of_sam_by_hand(small_net, batches):
    """Batch by batch at w + ρ g/‖g‖ with the gradient of that batch, weighted by examples."""
    model, steps = small_net(), [*batches(2), batches(1, size=5, seed=3)[0]]
    rises = []
    for batch in steps:
        objective = Objective(model, [batch], lambda m, b: F.cross_entropy(m(b.x), b.y))
        g = objective.grad()
        rises.append(objective.value(objective.w + 0.1 * g / g.norm()) - objective.value())
    expected = (12 * rises[0] + 12 * rises[1] + 5 * rises[2]) / 29
    assert ascent_gain(
        model, cross_entropy, make("sam", {"sam": {"rho": 0.1}}), steps
    ) == pytest.approx(expected, rel=1e-12)


def test_gain_of_msam_is_that_of_sam_on_its_shards(small_net, batch):
    model = small_net()
    msam = ascent_gain(model, cross_entropy, make("msam", {"msam": {"num_shards": 3}}), [batch])
    assert msam == pytest.approx(
        ascent_gain(model, cross_entropy, make("sam"), batch.shards(3)), rel=1e-12
    )


@pytest.mark.parametrize("method", ["sgd", "adamw", "fam", "lookahead"])
def test_without_a_climb_there_is_no_gain(small_net, batch, method):
    assert math.isnan(ascent_gain(small_net(), cross_entropy, make(method), [batch]))


@pytest.mark.parametrize(
    "method, settings, rho",
    [
        ("sam", {}, 0.05),
        ("lookbehind+asam", {}, 0.5),
        ("multistep-sam", {"multistep-sam": {"rho": 0.4, "split": True}}, 0.2),
        ("fam+sam", {}, 0.05),
        ("lets+lookbehind", {"lets": {"rho": 0.3}}, 0.3),
        ("lookahead+aace", {}, 0.2),
    ],
)
def test_who_climbs_and_how_far(method, settings, rho):
    found, radius = climb_of(make(method, settings))
    assert float(radius) == pytest.approx(rho)
    inner = {"lookbehind+asam": "ASAM", "fam+sam": "SAM", "lookahead+aace": "AACE", "sam": "SAM"}
    assert type(found).__name__ == inner.get(method, "Ascent")


def test_the_radius_that_lets_has_learned_counts(small_net, batch):
    method = make("lets")
    before = ascent_gain(small_net(), cross_entropy, method, [batch])
    method.learned = method.learned._replace(value=torch.tensor(2.0, dtype=torch.float64))
    assert ascent_gain(small_net(), cross_entropy, method, [batch]) > 1.5 * before


def test_batch_statistics_are_those_of_the_training_and_leave_no_trace(small_net, batches):
    model, pieces = small_net(batch_norm=True).train(), batches(2)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    kept = {name: t.clone() for name, t in model.state_dict().items()}
    rows = [
        SharpnessMonitor(model, cross_entropy, make("sam"), sgd, 1, pieces, pieces, policy)(0.1)
        for policy in ("stored", "batch")
    ]
    for name in ("loss", "lambda_max", "ascent_gain"):
        assert rows[0][name] != pytest.approx(rows[1][name], rel=1e-3)
    assert all(torch.equal(kept[name], t) for name, t in model.state_dict().items())
    assert model.training
    loss = sum(F.cross_entropy(model(b.x), b.y).item() for b in pieces) / 2
    assert rows[1]["loss"] == pytest.approx(loss, rel=1e-6)


def test_a_loss_that_is_not_finite_is_nan_and_no_error(small_net, batch):
    model = small_net()
    with torch.no_grad():
        model[0].weight.fill_(1e308)
        model[2].weight.fill_(1e308)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    found = SharpnessMonitor(model, cross_entropy, make("sam"), sgd, 1, [batch], [batch])(0.1)
    assert math.isnan(found["lambda_max"]) and math.isnan(found["ascent_gain"])


@pytest.mark.slow
def test_full_batch_descent_goes_to_the_edge_of_stability_and_stays(tmp_path):
    """On noisy labels, which keep it learning: λ_max hovers at or just above 2/η (Cohen et al.)."""
    data = {"batch_size": 2000, "held_out": 0.0, "label_noise": 0.3}
    plain = {"momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "measure_examples": 2000}
    means = {}
    for lr in (0.6, 0.8, 1.2):
        settings = {"epochs": 200, "device": "cpu", "lr": lr, "measure_every": 10, **plain}
        run = train(
            "digits", "sgd", 0, tmp_path / f"{lr}", settings={"data": data, "training": settings}
        )
        record = run.records()["sharpness_over_training"]
        assert record.lambda_max[0] < 0.5 * record.threshold[0]
        assert record.loss[-1] < record.loss[len(record.loss) // 2] < record.loss[0]
        means[lr] = record.lambda_max[10:].mean() / record.threshold[0]
    assert all(0.9 < ratio < 1.4 for ratio in means.values()), means


def test_pieces_do_not_matter(small_net, batches):
    model, pieces = small_net(), batches(2)
    one = Batch(*(torch.cat([getattr(b, n) for b in pieces]) for n in ("x", "y")))
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    a, b = (
        SharpnessMonitor(model, cross_entropy, make("sgd"), sgd, 1, p, pieces)(0.1)
        for p in (pieces, [one])
    )
    assert a["lambda_max"] == pytest.approx(b["lambda_max"], rel=1e-3)
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-12)
