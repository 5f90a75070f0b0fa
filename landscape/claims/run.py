"""All studies of the claims, one after the other, judged: `landscape claims`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from landscape.claims import page, wording
from landscape.claims.claim import Claim, claims, table
from landscape.claims.earlier import check_folder, trained_methods
from landscape.claims.judgement import Measured, judge
from landscape.claims.outcome import content
from landscape.claims.study_file import QUICK, StudyFile, folder_name, studies_of
from landscape.study.design import Design
from landscape.study.dry_run import Plan, of_study
from landscape.study.study import Study, compare
from landscape.training.train import train
from landscape.utils import files
from landscape.utils.names import names_of
from landscape.utils.paths import PathLike, as_path
from landscape.utils.progress import Listener, Progress, silent
from landscape.utils.progress_display import listening


@dataclass(frozen=True)
class Outcome:
    """Folder of all studies, with the page; content: what claims.json holds."""

    path: Path
    content: Mapping[str, Any]

    @property
    def page(self) -> Path:
        """The page, claims.html."""
        return self.path / "claims.html"

    @property
    def headline(self) -> str:
        """Count the claims that hold, in one sentence."""
        return wording.headline(self.content["claims"])


def planned(
    papers: Sequence[str] | None = None,
    studies: Sequence[str] | None = None,
    *,
    quick: bool = False,
    out: PathLike | None = None,
) -> tuple[list[Claim], list[StudyFile]]:
    """The claims of some papers, and the studies to run for them.

    studies: names of those to run; the others' claims are judged where they were run before. out:
    folder of all studies; the methods that one there has trained already stay in it.

    Raises ValueError for unknown papers and studies.
    """
    for name, listed in (("paper", papers), ("study", studies)):
        if listed is not None and not listed:
            raise ValueError(f"`{name}` needs at least one name. Got none.")
    chosen = claims(papers)
    if quick and studies is not None:
        raise ValueError(f"`quick` looks at the study {QUICK} alone: leave out `study`.")
    if quick:
        kept = [replace(claim, studies=(QUICK,)) for claim in chosen if QUICK in claim.studies]
        return kept, [study.quick() for study in studies_of(kept, _trained(out, quick=True))]
    known = list(table()["studies"])
    names = known if studies is None else names_of("study", studies, known)
    needed = {name for claim in chosen for name in claim.studies}
    if idle := [name for name in names if studies is not None and name not in needed]:
        raise ValueError(f"`study` {idle[0]} has no effect: none of these claims needs it.")
    return chosen, [s for s in studies_of(chosen, _trained(out)) if s.name in names]


def _trained(out: PathLike | None, *, quick: bool = False) -> dict[str, set[str]]:
    """Methods that each study in a folder has trained already."""
    if out is None:
        return {}
    return {
        name: trained_methods(as_path(out) / folder_name(name, quick=quick))
        for name in table()["studies"]
    }


def runnable(studies: Sequence[StudyFile]) -> tuple[list[StudyFile], dict[str, str]]:
    """The studies whose card is there, and by name why the others are left out."""
    card = torch.cuda.is_available()
    absent = {s.name: "needs a CUDA card" for s in studies if s.needs == "cuda" and not card}
    return [study for study in studies if study.name not in absent], absent


def run(
    out: PathLike = "runs/claims",
    papers: Sequence[str] | None = None,
    studies: Sequence[str] | None = None,
    *,
    quick: bool = False,
    first_seed: int = 0,
    data_dir: PathLike | None = None,
    command: str = "",
    progress: Listener | bool = silent,
    **how: Any,
) -> Outcome:
    """Run the studies of the claims of some papers, judge the claims, write table and figure.

    quick: the digits alone, six seeds and four trials: an orientation. first_seed: as for
    `landscape.compare`, with how: workers, engine.
    What is finished is kept, so the same call goes on. A study whose data or card is not there is
    left out, and its claims say so.

    Raises ValueError for unknown names, for a folder with other seeds, and where no study could be
    run or read.
    """
    path = as_path(out)
    chosen, to_run = planned(papers, studies, quick=quick, out=path)
    check_folder(path, to_run, first_seed=first_seed, quick=quick)
    to_run, absent = runnable(to_run)
    with listening(progress) as tell:
        for number, study in enumerate(to_run, 1):
            tell(Progress("study", f"{study.name} ({number} of {len(to_run)})", 0, 1))
            try:
                begun = _begun(study, path, data_dir, tell)
                compare(
                    **begun.arguments(), out=path / study.name, first_seed=first_seed,
                    data_dir=data_dir, command=command, progress=tell, **how,
                )  # fmt: skip
            except FileNotFoundError as error:
                absent[study.name] = files.one_line(error)
    return judged(path, chosen, absent, quick=quick, command=command)


def judged(
    path: Path,
    chosen: Sequence[Claim],
    absent: dict[str, str],
    *,
    quick: bool = False,
    command: str = "",
) -> Outcome:
    """Judge claims by the studies in a folder, and write claims.json, claims.md and the figure.

    A study that is damaged or has no finished run yet is left out, and its claims say so.

    Raises ValueError where the folder holds none of the studies.
    """
    measured = {}
    for study in studies_of(chosen):
        folder = path / folder_name(study.name, quick=quick)
        if not (folder / "study.json").is_file():
            continue
        try:
            measured[study.name] = Measured(Study(folder))
        except ValueError as error:
            absent[study.name] = files.one_line(error)
    if not measured:
        reasons = "".join(f" {name}: {why.rstrip('.')}." for name, why in absent.items())
        raise ValueError(f"{path} holds no study of these claims.{reasons}")
    outcome = content(judge(chosen, measured, absent), measured, quick=quick, command=command)
    page.write(path, outcome)
    return Outcome(path, outcome)


def plan_of(study: StudyFile, out: Path, data_dir: PathLike | None, **how: Any) -> Plan:
    """Plan one study, for a dry run; one that begins at weights is planned without them.

    Raises what `landscape.compare` raises, and ValueError for a folder with other seeds.
    """
    design = Design(**study.arguments(), out=out / study.name, data_dir=data_dir, **how)
    quick = study.name not in table()["studies"]
    check_folder(out, [study], first_seed=design.first_seed, quick=quick)
    return of_study(design)


def _begun(
    study: StudyFile, path: Path, data_dir: PathLike | None, progress: Listener
) -> StudyFile:
    """The study, with the weights that it begins at trained."""
    if not study.start:
        return study
    task, method = study.start["task"], study.start["method"]
    begin = train(
        task, method, 0, path / f"{study.name}-start", data_dir=data_dir, resume=True,
        progress=progress,
    )  # fmt: skip
    return study.from_weights(str(begin.path.absolute()))  # names the runs, wherever called from
