"""Points in weight space that surfaces and paths go through: where a run went, where runs ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from landscape.network.weights import Weights
from landscape.training import checkpoint
from landscape.training.run import Run


def of_surface(
    options: Mapping[str, Any], run: Run | None, among: Sequence[Run]
) -> dict[str, dict[str, Tensor]]:
    """The setting `points` of a surface, {label: (n,)}, where its directions need them.

    run: None for a checkpoint. among: the runs whose minima the surface goes through.

    Raises ValueError where there are too few points, and for a checkpoint.
    """
    directions = options.get("directions")
    if directions not in ("trajectory", "minima"):
        return {}
    if run is None:
        raise ValueError(
            f"A surface with directions {directions} is drawn of runs, not checkpoints."
        )
    return {"points": trajectory(run) if directions == "trajectory" else minima(among)}


def label(run: Run) -> str:
    """Label of a run's minimum in figures."""
    return f"{run.settings.method}, seed {run.settings.seed}"


def final(run: Run) -> Tensor:
    """A run's final weights (n,)."""
    return Weights(run.model()).read()


def trajectory(run: Run) -> dict[str, Tensor]:
    """Epoch -> weights (n,), of the snapshots along the training and of its end.

    Raises ValueError where the run kept too few for a plane.
    """
    model, found = run.model(), {}
    end = Weights(model).read()
    for path in sorted((run.path / "snapshots").glob("*.safetensors")):
        checkpoint.load_into(model, checkpoint.load_tensors(path), path)
        found[str(int(path.stem.removeprefix("epoch-")))] = Weights(model).read()
    found[str(run.status["epoch"])] = end
    if len(found) < 3:
        raise ValueError(
            f"{run.path} kept too few weights along its training for the plane of a trajectory: "
            f"{len(found)} of at least 3. Train it with --snapshots 20."
        )
    return found


def minima(runs: Sequence[Run]) -> dict[str, Tensor]:
    """Label -> final weights (n,) of runs of one network that did not diverge.

    Raises ValueError for fewer than three of them, and for networks of other sizes.
    """
    ended = [run for run in runs if run.status["state"] == "finished"]
    if len(ended) < 3:
        raise ValueError(
            f"The plane of minima needs at least three runs that ended well. Got {len(ended)}: "
            "landscape analyze RUN RUN RUN --measures surface --set surface.directions=minima"
        )
    found = {}
    for run in ended:
        name = label(run)
        found[f"{name}, {run.path.name}" if name in found else name] = final(run)
    sizes = {name: len(w) for name, w in found.items()}
    if len(set(sizes.values())) > 1:
        listed = "; ".join(f"{name}: {n}" for name, n in sizes.items())
        raise ValueError(f"One plane needs networks of one size. Got weights of {listed}.")
    return found
