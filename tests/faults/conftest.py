"""Put the disk back to where a kill would have left it, and bound the memory."""

import resource
import shutil
from pathlib import Path

import pytest

from landscape.utils import files


@pytest.fixture
def bounded():
    """A limit of 1 GiB on the memory that a test may add: what grows without end fails at once."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def kills(monkeypatch, tmp_path):
    """A function (folder, work) -> copies of the folder as it stood right after each write of the
    work, which is what a kill at that moment leaves.
    """

    def copies(folder, work):
        kept = []
        plain = files.write

        def write(path, data):
            plain(path, data)
            kept.append(tmp_path / "killed" / f"{len(kept):03d}" / folder.name)
            shutil.copytree(folder, kept[-1])

        with monkeypatch.context() as patch:
            patch.setattr(files, "write", write)
            work()
        return kept

    return copies
