"""Ray, with real processes: ends, lost workers, a node that is removed."""

import threading
import time

import pytest

pytest.importorskip("ray", reason="ray is not installed: pip install '.[ray]'")

from landscape.engines import make

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_ends_and_progress_of_a_failing_a_lost_and_good_items(task):
    tasks = [task("a", 1.5), task("fails"), task("dies"), task("b")]
    heard = []
    ends = {e.item.label: e for e in make("ray", workers=2).run(tasks, heard.append)}
    assert [ends[name].answer for name in "ab"] == ["A", "B"]
    assert str(ends["fails"].error) == "fails as it should" and len(tasks[1].processes) == 1
    assert "its worker was lost 4 times" in str(ends["dies"].error)
    assert len(tasks[2].processes) == 4
    assert {message.label for message in heard} >= {"a"}


def test_items_of_a_removed_node_run_elsewhere(task):
    """A head without cores, and two nodes of one core each; one of them goes."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    tasks = [task("a", 4), task("b", 4)]

    def remove():
        while not all(item.processes for item in tasks):
            time.sleep(0.1)
        cluster.remove_node(nodes[1], allow_graceful=False)

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        ends = list(make("ray", at=cluster.address).run(tasks, lambda message: None))
        remover.join()
    finally:
        cluster.shutdown()
    assert sorted(end.answer for end in ends) == ["A", "B"]
    assert sorted(len(item.processes) for item in tasks) == [1, 2]
