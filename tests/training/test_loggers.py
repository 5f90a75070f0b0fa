"""Loggers get a run's metrics, each step once; the libraries are stood in for by fakes here and
tried themselves in the slow tests.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from landscape.study.dry_run import of_training
from landscape.training import keeper
from landscape.training.loggers.log import Log, loggers_of
from landscape.training.train import train
from landscape.utils import files

SHORT = {"training": {"epochs": 3, "device": "cpu"}}


class Kept:
    """A logger of the user's own."""

    def __init__(self):
        self.scalars, self.closed = [], None

    def log(self, scalars, step):
        self.scalars += [(step, name, value) for name, value in scalars.items()]

    def close(self, completed):
        self.closed = completed

    def of(self, name):
        return [(step, value) for step, its, value in self.scalars if its == name]


class FakeWandbRun:
    def __init__(self, store, **options):
        self.store, self.options, self.id = store, options, options["id"] or "new"
        self.step, self.exit_code = store.server_step, None
        self.dir = str(Path(options["dir"]) / "wandb" / "offline-run-1-new" / "files")
        logs = Path(self.dir).parent / "logs"
        logs.mkdir(parents=True)
        (logs / "debug-core.log").symlink_to("/nowhere/else")

    def log(self, scalars, step):
        self.step = step
        self.store.scalars += [(step, name) for name in scalars]

    def finish(self, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def wandb(monkeypatch):
    """wandb with all that is used of it; `.runs` as started, `.scalars` as logged."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    fake = SimpleNamespace(runs=[], scalars=[], server_step=0)
    fake.errors = SimpleNamespace(Error=RuntimeError)
    fake.Settings = dict

    def init(**options):
        if fake.runs is None:
            raise RuntimeError("no API key configured.\nUse wandb login.")
        fake.runs.append(FakeWandbRun(fake, **options))
        return fake.runs[-1]

    fake.init = init
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


class FakeMLflowClient:
    places: ClassVar[dict] = {}

    def __init__(self, tracking_uri):
        self.seen = {name: os.environ.get(name) for name in ("MLFLOW_ALLOW_FILE_STORE",)}
        self.uri = tracking_uri
        self.runs = self.places.setdefault(tracking_uri, {})

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return f"number of {name}"

    def create_run(self, experiment, run_name):
        name = f"id{len(self.runs)}"
        self.runs[name] = SimpleNamespace(
            metrics=[], params={}, status="RUNNING", experiment=experiment, name=run_name
        )
        return SimpleNamespace(info=SimpleNamespace(run_id=name))

    def get_run(self, name):
        if name not in self.runs:
            raise LookupError(name)
        metrics = {metric.key: metric.value for metric in self.runs[name].metrics}
        info, data = SimpleNamespace(run_id=name), SimpleNamespace(metrics=metrics)
        return SimpleNamespace(info=info, data=data)

    def get_metric_history(self, name, key):
        return [metric for metric in self.runs[name].metrics if metric.key == key]

    def log_batch(self, name, metrics):
        self.runs[name].metrics += metrics

    def log_param(self, name, key, value):
        self.runs[name].params[key] = value

    def update_run(self, name, status):
        self.runs[name].status = status

    set_terminated = update_run


@pytest.fixture
def mlflow(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(FakeMLflowClient, "places", {})

    def metric(key, value, timestamp, step):
        return SimpleNamespace(key=key, value=value, timestamp=timestamp, step=step)

    fake = SimpleNamespace(
        MlflowClient=FakeMLflowClient,
        entities=SimpleNamespace(Metric=metric),
        exceptions=SimpleNamespace(MlflowException=LookupError),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return fake


def interrupted(path, monkeypatch, **log):
    """A run that stopped after its second epoch, before its checkpoint was kept again."""
    monkeypatch.setattr(keeper, "EPOCH_SECONDS", 1e9)

    def stop(message):
        if message.note and message.done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("digits", "sgd", 0, path, settings=SHORT, progress=stop, **log)


def test_an_object_of_the_users_gets_the_metrics(tmp_path):
    kept = Kept()
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log=kept)
    assert kept.of("accuracy/test") == [(r["step"], r["test_accuracy"]) for r in run.metrics]
    steps = [step for step, _, _ in kept.scalars]
    assert steps == sorted(steps) and kept.closed is True
    again = Kept()
    train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log=[again])
    assert sorted(again.scalars) == sorted(kept.scalars) and again.closed is True
    run.verify()


def test_what_stops_early_is_not_called_completed(tmp_path, monkeypatch):
    kept = Kept()
    interrupted(tmp_path / "run", monkeypatch, log=kept)
    assert kept.closed is False
    assert not list((tmp_path / "run").glob("tensorboard"))


def test_weights_and_biases_offline(tmp_path, wandb, monkeypatch):
    """Nothing is sent, each step once, no link leads out, and a resumed run is the only one."""
    interrupted(tmp_path / "run", monkeypatch, log="wandb")
    assert wandb.runs[0].exit_code == 1
    wandb.scalars.clear()
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log=["wandb"], resume=True)
    first, second = wandb.runs
    assert first.options["settings"]["mode"] == second.options["settings"]["mode"] == "offline"
    assert second.options["id"] == "new" and second.options["project"] == "landscape"
    assert second.options["config"] == run.settings.to_dict()
    assert second.options["settings"]["disable_git"] is True
    counts = Counter(wandb.scalars)
    assert (
        set(counts.values()) == {1} and (54, "loss/test") in counts and (0, "loss/test") in counts
    )
    assert second.exit_code == 0
    assert not [p for p in run.path.rglob("*") if p.is_symlink()]
    run.verify()


def test_weights_and_biases_online_leaves_what_is_there(tmp_path, wandb, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    wandb.server_step = 37
    train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log="wandb")
    assert {step for step, _ in wandb.scalars} == {54}
    assert wandb.runs[0].options["resume"] == "allow"
    assert wandb.runs[0].options["settings"]["mode"] == "online"
    wandb.runs = None
    for _ in range(2):  # no unfinished run is left behind
        with pytest.raises(ValueError, match=r"^wandb does not start: no API key .* login\.$"):
            train("digits", "sgd", 0, tmp_path / "other", settings=SHORT, log="wandb")


def test_mlflow_in_the_folder(tmp_path, mlflow, monkeypatch):
    interrupted(tmp_path / "run", monkeypatch, log="mlflow")
    ((place, runs),) = FakeMLflowClient.places.items()
    assert place == (tmp_path / "run" / "mlflow").as_uri()
    assert runs["id0"].status == "KILLED"
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log="mlflow", resume=True)
    assert list(runs) == ["id0"] and runs["id0"].status == "FINISHED"
    counts = Counter((m.step, m.key) for m in runs["id0"].metrics)
    assert set(counts.values()) == {1}
    assert [m.step for m in runs["id0"].metrics if m.key == "loss/test"] == [0, 18, 36, 54]
    assert runs["id0"].params["training.epochs"] == 3
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ
    run.verify()


def test_mlflow_elsewhere(tmp_path, mlflow, monkeypatch):
    """The folder does not say where: an address may hold a password."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@here")
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log="mlflow")
    assert list(FakeMLflowClient.places) == ["https://me:secret@here"]
    kept = [p for p in run.path.rglob("*") if p.is_file()]
    assert kept and not any(b"secret" in p.read_bytes() for p in kept)


@pytest.mark.parametrize(
    ("name", "extra"), [("tensorboard", "track"), ("wandb", "wandb"), ("mlflow", "mlflow")]
)
def test_without_a_library_nothing_is_trained(tmp_path, monkeypatch, name, extra):
    monkeypatch.setitem(sys.modules, name, None)
    message = rf"^{name} .* pip install 'landscape\[{extra}\]'\.$"
    for attempt in (train, of_training):
        with pytest.raises(ValueError, match=message):
            attempt("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log=name)
    assert not (tmp_path / "run").exists()


def test_what_is_no_logger_is_refused(wandb):
    with pytest.raises(ValueError, match=r"Unknown logger 'wanbd'. Did you mean 'wandb'\?"):
        loggers_of("wanbd")
    with pytest.raises(ValueError, match=r"`log` must be a name or have log\(scalars, step\)"):
        loggers_of([3])
    assert loggers_of("wandb, wandb") == ["wandb"]


@pytest.mark.slow
def test_weights_and_biases_itself(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    interrupted(tmp_path / "run", monkeypatch, log="wandb")
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log="wandb", resume=True)
    (store,) = (run.path / "wandb").glob("offline-run-*/run-*.wandb")
    history = list(wandb_history(store))
    assert [step for step, row in history if "loss/test" in row] == [0, 18, 36, 54]
    shown = [row["accuracy/test"] for _, row in history]
    assert shown == pytest.approx([row["test_accuracy"] for row in run.metrics])
    run.verify()
    assert type(run)(run.path)  # no link leads out


def wandb_history(store):
    """(step, {name: value}) of each line of an offline file."""
    from wandb.proto.wandb_internal_pb2 import Record

    for data in log_records(store.read_bytes()[7:]):  # after the name of the format
        record = Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = {
                item.key or item.nested_key[0]: json.loads(item.value_json)
                for item in record.history.item
            }
            yield int(items.get("_step", record.history.step.num)), items


def log_records(data, block=32768, header=7, lead=7):
    """Records of LevelDB's log format: sum (4 bytes), length (2), full/first/middle/last (1)."""
    at, record = 0, b""
    while at + header <= len(data):
        if block - (at + lead) % block < header:  # the rest of a block is padding
            at += block - (at + lead) % block
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        record += data[at + header : at + header + length]
        at += header + length
        if kind in (1, 4):
            yield record
            record = b""


@pytest.mark.slow
def test_mlflow_itself(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    interrupted(tmp_path / "run", monkeypatch, log="mlflow")
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, log="mlflow", resume=True)
    (kept,) = (run.path / "mlflow").glob("*/*/metrics/loss/test")
    rows = [line.split() for line in kept.read_text().splitlines()]  # time, value, step
    assert [int(row[2]) for row in rows] == [0, 18, 36, 54]
    assert [float(row[1]) for row in rows] == [row["test_loss"] for row in run.metrics]
    (meta,) = (run.path / "mlflow").glob("*/*/meta.yaml")
    assert "status: 3" in meta.read_text()  # FINISHED
    run.verify()


def test_settings_under_dotted_names():
    assert files.flat({"a": {"b": 1, "c": {"d": (2,)}}, "e": None}) == {
        "a.b": 1, "a.c.d": [2], "e": None,
    }  # fmt: skip


def test_rows_and_looks_of_a_step_come_in_ascending_order(tmp_path):
    kept = Kept()
    log = Log([kept], tmp_path, {})
    log.grow([{"step": 4.0, "a": 1.0}], [{"step": 0.0, "b": 2.0}, {"step": 4.0, "b": float("nan")}])
    log.grow([{"step": 4.0, "a": 1.0}, {"step": 8.0, "a": 3.0}])
    assert kept.scalars == [(0, "sharpness/b", 2.0), (4, "a", 1.0), (8, "a", 3.0)]
