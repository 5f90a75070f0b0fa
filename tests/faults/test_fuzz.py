"""A sample of `make fuzz`: mutated inputs end well, in time and memory."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"


@pytest.mark.slow
def test_mutated_inputs_end_well():
    command = [sys.executable, FUZZ, "--seed", "3", "--count", "400", "--seconds", "200"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    cases, bad = re.findall(r"^(\d+) cases, (\d+) ended badly$", done.stdout, re.MULTILINE)[0]
    assert int(cases) >= 40 and bad == "0"
