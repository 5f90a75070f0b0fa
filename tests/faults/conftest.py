"""Put the disk back to where a kill would have left it."""

import shutil

import pytest

from landscape.utils import files


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
