"""Points in weight space that surfaces and paths go through: where a run went, where runs ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from landscape.network.weights import Weights
from landscape.training import checkpoint
from landscape.training.run import Run


def placed(
    name: str, options: Mapping[str, Any], run: Run, among: Sequence[Run], to: Run | None
) -> dict[str, Any]:
    """The options of a measure of `run`, with the points that they call for.

    Raises ValueError where there is nothing to call on.
    """
    if name == "path" and to is not None:
        return {**options, "end": final(to), "name": label(to)}
    if name == "surface" and options.get("directions") == "trajectory":
        return {**options, "points": trajectory(run)}
    if name == "surface" and options.get("directions") == "minima":
        return {**options, "points": minima(among)}
    return dict(options)


def label(run: Run) -> str:
    """What figures call a run's minimum."""
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
