"""Studies that earlier calls left in the same folder: what stays in them, what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from landscape.claims.study_file import StudyFile
from landscape.study.plan import read_plan
from landscape.training.run import has_ended
from landscape.utils import files
from landscape.utils.paths import inside


def trained_methods(folder: Path) -> set[str]:
    """Methods of a study whose runs have all ended, so that keeping them costs no training.

    Empty where there is no study, or a damaged one: it is made anew.
    """
    plan = _plan(folder)
    runs = [(method, has_ended(inside(folder, run))) for method, _, run in plan.get("cells", [])]
    return {method for method, _ in runs} - {method for method, ended in runs if not ended}


def check_folder(
    path: Path, studies: Sequence[StudyFile], *, first_seed: int, quick: bool = False
) -> None:
    """Raise ValueError where studies would take the place of others in a folder.

    first_seed: that of the studies to come; quick: only a first look is to come.
    """
    if quick and _is_whole(path / "claims.json"):
        raise ValueError(
            f"{path} holds the outcome of whole studies. Give `out` another folder for a first "
            "look."
        )
    for study in studies:
        seeds = _plan(path / study.name).get("seeds", [])
        if seeds and seeds[0] != first_seed:
            raise ValueError(
                f"{path / study.name} has the seeds from {seeds[0]} on, not from {first_seed}. "
                "Give `out` another folder for other seeds."
            )


def _plan(folder: Path) -> dict[str, Any]:
    try:
        return read_plan(folder) if (folder / "study.json").is_file() else {}
    except ValueError:
        return {}


def _is_whole(outcome: Path) -> bool:
    try:
        return outcome.is_file() and files.read_object(outcome).get("quick") is False
    except ValueError:
        return False
