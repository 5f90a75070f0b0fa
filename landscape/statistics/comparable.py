"""Which records of a study may stand side by side: those that answer the same question."""

from collections import Counter
from collections.abc import Mapping

from landscape.records import Record
from landscape.utils import files

Cells = dict[tuple[str, int], dict[str, Record]]

# Surfaces and paths are looked at one by one, and may go through other minima for each run.
COMPARABLE_KINDS = (
    "eigenvalues", "trace", "spectral_density", "relative_flatness", "noise", "quantization",
    "pruning", "worst_case", "sharpness", "rise_area", "profile",
    "critical_sharpness", "adaptive_sharpness", "pac_bayes", "batch_eigenvalues", "fisher_rao",
    "calibration",
)  # fmt: skip


def question(record: Record) -> str:
    """Question that a record answers: settings, batch-norm policy, number of examples, parameters
    that are w.
    """
    assert record.point is not None
    point = record.point
    asked = record.provenance.get("examples_asked_for", point.examples)
    return str(files.plain([record.settings, point.batch_norm, asked, point.parameters]))


def comparable_records(
    cells: Mapping[tuple[str, int], Mapping[str, Record]],
) -> tuple[Cells, list[str]]:
    """The records without those that were asked something else than most of their kind, the first
    where there are as many of each; and a sentence about each kind that lost some.
    """
    kept: Cells = {key: dict(records) for key, records in cells.items()}
    told = []
    for kind in COMPARABLE_KINDS:
        asked = {key: question(found[kind]) for key, found in cells.items() if kind in found}
        if len(set(asked.values())) < 2:
            continue
        usual = Counter(asked.values()).most_common(1)[0][0]
        others = [key for key, words in asked.items() if words != usual]
        for key in others:
            del kept[key][kind]
        runs = ", ".join(f"{method} seed {seed}" for method, seed in others)
        told.append(
            f"{kind.replace('_', ' ')} of {runs} was measured with other settings than that of "
            f"the other runs and is left out: landscape analyze RUN --measures {kind} --force."
        )
    return kept, told
