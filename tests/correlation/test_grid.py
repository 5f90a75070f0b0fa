"""Grids: the committed ones, files of the user's, and what is refused."""

import pytest

from landscape.correlation.grid import Grid, grid_names, read_grid, text_of
from landscape.correlation.networks import networks_of
from landscape.training.run import Run

AXES = {"training.lr": [0.1, 0.2], "model.hidden": [[8], [16]], "method": ["sgd", "sam"]}
FILE = """
task = "digits"
level = 0.5
[settings.training]
epochs = 3
[axes]
"training.lr" = [0.1, 0.2]
"model.hidden" = [[8], [16]]
[names]
"model.hidden" = "width"
"""


@pytest.mark.parametrize(
    ("task", "count", "quick"),
    [("digits", 162, 24), ("fashion-mnist", 108, 16), ("split-digits", 162, 24)],
)
def test_the_committed_grids(task, count, quick):
    grid = read_grid(task, None)
    assert task in grid_names()
    assert len(grid.points) == count
    assert len(grid.small().points) == quick
    assert grid.settings["training"]["schedule"] == "constant"
    assert grid.settings["training"]["epochs"] == 200
    assert grid.level == {"fashion-mnist": 0.1}.get(task, 0.05)
    assert "width" in map(grid.name, grid.varying)


def test_every_network_is_a_cell_of_its_own(tmp_path):
    """Its settings, level, task and folder; a seed more doubles them."""
    grid = Grid("digits", 0.5, AXES)
    networks = networks_of(grid, tmp_path, 2, None)
    assert len(networks) == len({n.cell.path for n in networks}) == 16
    first = networks[0].cell
    assert first.label == "learning rate 0.1, hidden 8, method sgd, seed 0"
    assert first.task == "digits-hidden-8"
    assert first.overrides["training"] == {"lr": 0.1, "stop_at_loss": 0.5}
    assert first.own.task["model_settings"] == {"hidden": [8]}
    assert not first.own.references  # nothing of the user's has to be imported
    assert networks[-1].cell.method == "sam"
    assert networks[-1].cell.seed == 1


def test_arguments_of_the_data_name_the_task(tmp_path):
    grid = Grid("fashion-mnist", 0.1, {"model.width": [1, 2]}, data_args={"examples": 3000})
    tasks = [network.cell.task for network in networks_of(grid, tmp_path, 1, None)]
    assert tasks == ["fashion-mnist-examples-3000-width-1", "fashion-mnist-examples-3000-width-2"]


def test_a_file_and_a_task_in_its_place(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(FILE)
    assert read_grid(None, path).task == "digits"
    assert read_grid("digits-cnn", path).task == "digits-cnn"
    assert [*map(read_grid(None, path).name, AXES)] == ["learning rate", "width", "method"]


def test_a_quick_grid_without_a_table_takes_the_ends():
    grid = Grid("digits", 0.5, {"training.lr": [0.1, 0.2, 0.3], "method": ["sgd"]})
    assert grid.small().axes == {"training.lr": [0.1, 0.3], "method": ["sgd"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("level = 0.5", "level = 0"), "`level` must be a positive loss. Got 0"),
        (("level = 0.5", ""), "it has no `level`"),
        (("level = 0.5", "level = 0.5\nlevels = 1"), "levels"),
        (
            ('"training.lr" = [0.1, 0.2]', '"training.lr" = 0.1'),
            "must be a list of values. Got 0.1",
        ),
        (('"training.lr" = [0.1, 0.2]', '"training.lr" = [0.1, 0.1]'), "different values"),
        (('"training.lr" =', '"trainer.lr" ='), "`axes.trainer.lr` must be method, model.KEY or"),
        (('"training.lr" =', '"training.stop_at_loss" ='), "all networks stop at `level`"),
        (('"model.hidden" = "width"', '"model.depth" = "width"'), "axis of the grid 'model.depth'"),
        (('"model.hidden" = "width"', '"model.hidden" = "learning rate"'), "have one name"),
        (("[axes]", "[axes"), "grid.toml is not a grid"),
    ],
)  # fmt: skip
def test_refusals_name_the_file(tmp_path, change, message):
    path = tmp_path / "grid.toml"
    assert change[0] in FILE
    path.write_text(FILE.replace(*change))
    with pytest.raises(ValueError, match=r"grid\.toml is not a grid") as error:
        read_grid(None, path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_no_grid_of_that_task():
    with pytest.raises(
        ValueError, match="There is no grid for 'mnist'; there are grids for digits, fash"
    ):
        read_grid("mnist", None)


def test_settings_that_do_not_exist_are_refused_before_anything_runs(tmp_path):
    grid = Grid("digits", 0.5, {"training.momentun": [0.1, 0.2]})
    with pytest.raises(ValueError, match="momentum"):
        networks_of(grid, tmp_path, 1, None)
    assert not list(tmp_path.iterdir())


def test_values_as_text():
    assert [text_of(v) for v in ([16], [8, 4], 1e-4, 64, "sam", 0.05)] == [
        "16", "8-4", "0.0001", "64", "sam", "0.05",
    ]  # fmt: skip


def test_the_folder_of_a_run_is_read_without_trust(tmp_path):
    """A network of a width is a task of the package's own parts, so no code has to be allowed."""
    from landscape.training.train import train

    cell = networks_of(Grid("digits", 2.0, AXES), tmp_path, 1, None)[0].cell
    run = train(cell.task, cell.method, 0, tmp_path / "r", settings=cell.overrides)
    assert run.status["stop_at_loss"]["met"]
    assert Run.open(tmp_path / "r").model().hidden1.out_features == 8
