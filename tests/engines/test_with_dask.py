"""Dask, with real schedulers and workers: ends, lost workers, the same bits as the local pool."""

import threading

import pytest

pytest.importorskip("distributed", reason="distributed is not installed: pip install '.[cluster]'")

from engine_items import kill_first

import landscape as ls
from landscape.engines import make, site
from landscape.utils.progress import silent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SHORT = {
    "settings": {"training": {"epochs": 2, "device": "cpu"}},
    "measures": ["noise"],
    "options": {"noise": {"draws": 2, "sigmas": (0.1,)}},
}


@pytest.fixture(scope="module")
def cluster():
    """A scheduler with two workers, as a user would have started it."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as started:
        yield started


def test_ends_and_progress_of_a_failing_a_lost_and_good_items(task):
    tasks = [task("a", 1.5), task("fails"), task("dies"), task("b")]
    heard = []
    ends = {e.item.label: e for e in make("dask", workers=2).run(tasks, heard.append)}
    assert [ends[name].answer for name in "ab"] == ["A", "B"]
    assert str(ends["fails"].error) == "fails as it should" and len(tasks[1].processes) == 1
    assert "its worker was lost 4 times" in str(ends["dies"].error)
    assert len(tasks[2].processes) == 4
    assert {message.label for message in heard} >= {"a"}


def test_a_worker_killed_in_mid_item_is_replaced(task):
    tasks = [task("a", 3), task("b", 1), task("c", 1)]
    killer = threading.Thread(target=kill_first, args=(tasks[0],))
    killer.start()
    ends = list(make("dask", workers=2).run(tasks, silent))
    killer.join()
    assert sorted(end.answer for end in ends) == ["A", "B", "C"]
    assert len(tasks[0].processes) == 2


def test_a_study_on_a_scheduler_has_the_bits_of_the_local_pool(cluster, tmp_path, no_figures):
    ours = ls.compare("digits", ["sgd", "sam"], 1, tmp_path / "local", workers=2, **SHORT)
    engine = make("dask", at=cluster.scheduler_address)
    theirs = ls.compare("digits", ["sgd", "sam"], 1, tmp_path / "dask", engine=engine, **SHORT)
    assert len(ours.runs) == 2 and ours.runs.keys() == theirs.runs.keys()
    for key, run in ours.runs.items():
        a, b = (r.path / "weights.safetensors" for r in (run, theirs.runs[key]))
        assert a.read_bytes() == b.read_bytes()
        assert (ours.cells[key]["noise"].loss == theirs.cells[key]["noise"].loss).all()
    assert not list(theirs.path.glob(".seen-by-all*"))


def test_closing_stops_what_runs(cluster, task):
    tasks = [task("short"), task("long", 600), task("never", 600), task("nor", 600)]
    ends = make("dask", at=cluster.scheduler_address).run(tasks, silent)
    assert next(ends).answer == "SHORT"
    ends.close()
    (end,) = make("dask", at=cluster.scheduler_address).run([task("next")], silent)
    assert end.answer == "NEXT"


def test_a_worker_that_is_not_fit_is_sent_home_and_its_items_run_elsewhere(
    cluster, task, tmp_path, monkeypatch
):
    """One worker of the two, which reads another version, does not eat the items."""
    from distributed import Client

    with Client(cluster.scheduler_address) as client:
        first = next(iter(client.scheduler_info()["workers"]))
        client.run(_other_version, workers=[first])
    tasks = [task(name, 0.5) for name in "abcdef"]
    engine = make("dask", at=cluster.scheduler_address)
    answers = list(site.ends(engine, tasks, silent, tmp_path / "study", None))
    assert sorted(end.answer for end in answers) == list("ABCDEF")


def _other_version():
    from landscape.engines import site

    site.version_of = lambda package: "0.0"
