"""Archives of strangers: what is unpacked, and what is refused before it does harm."""

import io
import stat
import tarfile
import zipfile

import pytest

from landscape.data import archives

FILES = {"folder/a.bin": b"one", "folder/deep/b.bin": b"", "c": b"three"}
MEMBERS = tuple(FILES.items())


def tar(path, members=MEMBERS, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path, members=MEMBERS):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


MAKERS = {
    "x.tar": lambda path, *members: tar(path, *members, mode="w"),
    "x.tar.gz": tar,
    "x.zip": zipped,
}


def below(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("name", MAKERS)
def test_files_come_out_as_they_went_in(name, tmp_path, folder):
    archives.unpack(MAKERS[name](tmp_path / name), folder)
    assert below(folder) == FILES


def test_the_folder_is_gone_afterwards(tmp_path):
    with archives.unpacked(tar(tmp_path / "x.tar.gz")) as place:
        assert below(place) == FILES
    assert not place.exists()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "inside", ["../up", "a/../../up", "/tmp/absolute", "a/..", "..\\up", "c:/up", "."]
)
def test_nothing_leaves_the_folder(name, inside, tmp_path, folder):
    path = MAKERS[name](tmp_path / name, [("first", b"fine"), (inside, b"bad")])
    before = {p for p in tmp_path.rglob("*") if folder not in p.parents}
    with pytest.raises(ValueError, match=r"must stay inside its folder\. Got '"):
        archives.unpack(path, folder)
    assert {p for p in tmp_path.rglob("*") if folder not in p.parents} == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind, tmp_path, folder):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = kind, "../../secret"
    with pytest.raises(ValueError, match=r"must hold plain files only. Got 'link'"):
        archives.unpack(tar(tmp_path / "x.tar.gz", [(link, b"")]), folder)
    assert not any(folder.iterdir())


def test_links_in_a_zip_are_refused(tmp_path, folder):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ValueError, match=r"must hold plain files only. Got 'link'"):
        archives.unpack(zipped(tmp_path / "x.zip", [(link, b"../secret")]), folder)
    assert not any(folder.iterdir())


@pytest.mark.parametrize("name", MAKERS)
def test_floods_are_refused_before_they_are_written(name, tmp_path, folder, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 1000)
    path = MAKERS[name](tmp_path / name, [("small", b"0" * 900), ("bomb", b"0" * 101)])
    with pytest.raises(ValueError, match=r"must unpack to at most 1000 bytes. Got more."):
        archives.unpack(path, folder)
    assert below(folder) == {}


@pytest.mark.parametrize("name", MAKERS)
def test_too_many_files_are_refused(name, tmp_path, folder, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 2)
    with pytest.raises(ValueError, match=r"must hold at most 2 files. Got more."):
        archives.unpack(MAKERS[name](tmp_path / name), folder)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("damage", ["empty", "cut", "other"])
def test_a_damaged_archive_is_one_clear_error(name, damage, tmp_path, folder):
    path = MAKERS[name](tmp_path / name, [("a", bytes(range(256)) * 40)])
    raw = path.read_bytes()
    cut = raw[: len(raw) // 2]
    path.write_bytes({"empty": b"", "cut": cut, "other": b"<html>not found</html>"}[damage])
    with pytest.raises(ValueError, match=f"^{path} must be a complete tar or zip archive. Got: "):
        archives.unpack(path, folder)


def test_a_zip_whose_content_was_changed_is_refused(tmp_path, folder):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"content")
    path.write_bytes(path.read_bytes().replace(b"content", b"contemt"))
    with pytest.raises(ValueError, match=r"must be a complete tar or zip archive. Got: Bad CRC"):
        archives.unpack(path, folder)
