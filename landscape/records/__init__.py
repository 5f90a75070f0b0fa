"""Hold what a measure answers: arrays with named axes, units, settings and uncertainty.

Records are plain numbers and need no torch; they outlive the program that wrote them. Imports
`utils`. Start with `record.py` (files and schema), then the kind that interests you.
"""

import warnings
from pathlib import Path

from landscape.records import netcdf
from landscape.records.curvature import (
    CrossCheckRecord,
    EigenvaluesRecord,
    SpectralDensityRecord,
    TraceRecord,
)
from landscape.records.displacement import DisplacementRecord, Part
from landscape.records.flatness import RelativeFlatnessRecord, SharpnessRecord
from landscape.records.lifelong import LIFELONG, LifelongRecord
from landscape.records.outputs import CalibrationRecord, FisherRaoRecord
from landscape.records.record import SCHEMA, Array, Axes, Point, Record, axes_of
from landscape.records.robustness import (
    NoiseRecord,
    PruningRecord,
    QuantizationRecord,
    WorstCaseRecord,
)
from landscape.records.sharpness import (
    AdaptiveSharpnessRecord,
    BatchEigenvaluesRecord,
    CriticalSharpnessRecord,
    PacBayesRecord,
)
from landscape.records.study import METRICS, ComparisonRecord, Metric, StudyRecord, shown_direction
from landscape.records.surfaces import (
    PathRecord,
    ProfileRecord,
    RiseAreaRecord,
    SurfaceRecord,
    barrier,
)
from landscape.records.training import CurvesRecord, RadiusRecord, SharpnessOverTrainingRecord
from landscape.records.variants import by_name
from landscape.utils import manifest
from landscape.utils.files import one_line
from landscape.utils.paths import PathLike, as_path

__all__ = [
    "LIFELONG",
    "METRICS",
    "RECORDS",
    "SCHEMA",
    "AdaptiveSharpnessRecord",
    "Array",
    "Axes",
    "BatchEigenvaluesRecord",
    "CalibrationRecord",
    "ComparisonRecord",
    "CriticalSharpnessRecord",
    "CrossCheckRecord",
    "CurvesRecord",
    "DisplacementRecord",
    "EigenvaluesRecord",
    "FisherRaoRecord",
    "LifelongRecord",
    "Metric",
    "NoiseRecord",
    "PacBayesRecord",
    "Part",
    "PathRecord",
    "Point",
    "ProfileRecord",
    "PruningRecord",
    "QuantizationRecord",
    "RadiusRecord",
    "Record",
    "RelativeFlatnessRecord",
    "RiseAreaRecord",
    "SharpnessOverTrainingRecord",
    "SharpnessRecord",
    "SpectralDensityRecord",
    "StudyRecord",
    "SurfaceRecord",
    "TraceRecord",
    "WorstCaseRecord",
    "axes_of",
    "barrier",
    "by_name",
    "load",
    "load_all",
    "load_sound",
    "shown_direction",
]  # fmt: skip

RECORDS: dict[str, type[Record]] = {
    "eigenvalues": EigenvaluesRecord,
    "trace": TraceRecord,
    "spectral_density": SpectralDensityRecord,
    "cross_check": CrossCheckRecord,
    "relative_flatness": RelativeFlatnessRecord,
    "noise": NoiseRecord,
    "quantization": QuantizationRecord,
    "pruning": PruningRecord,
    "worst_case": WorstCaseRecord,
    "sharpness": SharpnessRecord,
    "surface": SurfaceRecord,
    "rise_area": RiseAreaRecord,
    "profile": ProfileRecord,
    "path": PathRecord,
    "critical_sharpness": CriticalSharpnessRecord,
    "adaptive_sharpness": AdaptiveSharpnessRecord,
    "pac_bayes": PacBayesRecord,
    "batch_eigenvalues": BatchEigenvaluesRecord,
    "calibration": CalibrationRecord,
    "fisher_rao": FisherRaoRecord,
    "curves": CurvesRecord,
    "radius": RadiusRecord,
    "sharpness_over_training": SharpnessOverTrainingRecord,
    "lifelong": LifelongRecord,
    "displacement": DisplacementRecord,
    "study": StudyRecord,
    "comparison": ComparisonRecord,
}


def load_all(folder: PathLike) -> dict[str, Record]:
    """Read the records in the folder of an audit or a measured checkpoint, by kind.

    Warns of each that is damaged, or was not finished, and leaves it out.
    """
    sound, unsound = load_sound(folder)
    for path in unsound:
        warnings.warn(f"{path} is damaged or was not finished, and is left out.", stacklevel=2)
    return sound


def load_sound(folder: PathLike) -> tuple[dict[str, Record], list[Path]]:
    """Read the records of a folder by kind; and the paths of those that differ from its manifest.

    In a folder of an older version, which has none, those that cannot be read.
    """
    sound, unsound = {}, []
    for path in sorted(as_path(folder).glob("records/*.nc")):
        try:
            if not manifest.may_be_read(as_path(folder), f"records/{path.name}"):
                raise ValueError
            sound[path.stem] = load(path)
        except ValueError:
            unsound.append(path)
    return by_name(sound), unsound


def load(path: PathLike) -> Record:
    """Read a record from a NetCDF file.

    Raises ValueError for a file that is no record, is damaged, or was written by a newer version.

    Example:

    >>> import tempfile
    >>> import numpy as np
    >>> from landscape import records
    >>> record = records.EigenvaluesRecord(
    ...     values=np.array([9.0, 1.0]), residuals=np.zeros(2), bounds=np.zeros(2),
    ...     converged=np.ones(2, dtype=bool), hvps=4, which="magnitude",
    ... )
    >>> path = tempfile.mkdtemp() + "/eigenvalues.nc"
    >>> record.save(path)
    >>> records.load(path).values
    array([9., 1.])
    """
    path = as_path(path)
    try:
        arrays, attributes = netcdf.decoded(path.read_bytes())
        kind, schema = attributes["kind"], int(attributes["schema"])
    except FileNotFoundError:
        raise
    except Exception as error:
        why = one_line(error)
        raise ValueError(f"{path} is not a record, or is damaged ({why}). Redo it.") from None
    if schema > SCHEMA or kind not in RECORDS:
        raise ValueError(
            f"{path} holds a {kind!r} record of schema {schema}; this program reads schema "
            f"{SCHEMA} of {', '.join(RECORDS)}. Use a newer landscape."
        )
    try:
        return RECORDS[kind].rebuilt(arrays, attributes)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        why = one_line(error)
        raise ValueError(f"{path} lacks what a {kind} record needs ({why}). Redo it.") from None
