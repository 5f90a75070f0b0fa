"""The table of a cross-check."""

import numpy as np

from landscape.records import CrossCheckRecord
from landscape_cli.cross_check import lines


def test_rows_reasons_and_differences():
    record = CrossCheckRecord(
        backends=np.array(["lanczos", "pyhessian", "curvlinops"]),
        values=np.array([[-4.0, 2.0], [-4.0, 1.0], [np.nan, np.nan]]),
        residuals=np.array([[1e-5, 2e-5], [1e-3, 1e-2], [np.nan, np.nan]]),
        bounds=np.array([[1e-5, 2e-5], [1e-3, 1e-2], [np.nan, np.nan]]),
        met=np.array([[True, True], [False, False], [False, False]]),
        differs=np.array([[False, False], [False, True], [False, False]]),
        hvps=np.array([20.0, 300.0, np.nan]),
        seconds=np.array([0.5, 2.0, np.nan]),
        message=np.array(["", "", "curvlinops is not installed."]),
        which="magnitude",
        tolerance=1e-4,
    )
    head, ours, theirs, missing, reason, difference = lines(record)
    assert head.split()[0] == "solver"
    assert ours.split() == ["lanczos", "4", "2.0e-05", "2", "of", "2", "0", "20", "0.50"]
    assert theirs.split()[2:6] == ["1.0e-02", "0", "of", "2"]
    assert missing.split() == ["curvlinops", *"------"]
    assert reason == "curvlinops: curvlinops is not installed."
    assert difference == "value 2: lanczos 2 ± 2.0e-05, pyhessian 1 ± 1.0e-02"
