"""Check of a worker on another machine: the same folders, data and versions as at the head."""

import os
import secrets
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.engines.engine import End, Engine, Item
from landscape.engines.worker import here
from landscape.utils import files
from landscape.utils.environment import version_of
from landscape.utils.progress import Listener

MARK = ".seen-by-all"  # begins the name of the head's file in the folder that workers must see
PATIENCE = 20  # seconds after which a shared folder shows a new file: its clients cache
SAME = ("landscape", "torch", "numpy")  # versions that decide the numbers


class Unfit(OSError):
    """The worker lacks what its items need; another one may have it."""


@dataclass(frozen=True)
class Site:
    """Facts that a worker must see as the head does.

    present: the head's working folder, in which relative paths hold. mark: a file of the head's in
    the folder that all write to. variables: LANDSCAPE_..., of the environment.
    """

    present: Path
    mark: Path
    data: Path | None
    variables: Mapping[str, str]
    versions: Mapping[str, str]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Work as if started by the head: in its folder, with its variables.

        Raises Unfit, in one line that names this worker, where something is missing here.
        """
        self._check()
        before, kept = Path.cwd(), {name: os.environ.get(name) for name in self.variables}
        os.chdir(self.present)
        os.environ.update(self.variables)
        try:
            yield
        finally:
            os.chdir(before)
            for name, value in kept.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def _check(self) -> None:
        for package, version in self.versions.items():
            if (there := _public(package)) != version:
                raise Unfit(f"{here()} has {package} {there}. Install {version}, as at the head.")
        if not _appears(self.mark):
            raise Unfit(
                f"{here()} does not see {self.mark.parent} as the head does. Write into a folder "
                "that all machines share."
            )
        for name, path in (("working folder", self.present), ("data folder", self.data)):
            if path is not None and not path.is_dir():
                raise Unfit(f"{here()} has no {name} {path}. Put it where all machines see it.")


@dataclass(frozen=True)
class OnSite:
    """An item that first checks where it runs."""

    item: Any
    site: Site

    @property
    def label(self) -> str:
        """Label of the item."""
        return str(self.item.label)

    @property
    def device(self) -> str:
        """Device of the item."""
        return str(self.item.device)

    def run(self, progress: Listener) -> Any:
        """Run the item where this worker is fit for it."""
        with self.site.entered():
            return self.item.run(progress)


@contextmanager
def shared(folder: Path, data: Path | None) -> Iterator[Site]:
    """Put a mark into a folder while open, by which workers know that they see the same one."""
    mark = folder.absolute() / f"{MARK}-{secrets.token_hex(8)}"
    files.write(mark, "")
    variables = {k: v for k, v in os.environ.items() if k.startswith("LANDSCAPE_")}
    named = data or variables.get("LANDSCAPE_DATA")
    place = None if named is None else Path(named).expanduser().absolute()
    versions = {package: _public(package) for package in SAME}
    seen = place if place is not None and place.is_dir() else None
    try:
        yield Site(Path.cwd(), mark, seen, variables, versions)
    finally:
        mark.unlink(missing_ok=True)


def ends(
    engine: Engine, items: Sequence[Item], hear: Listener, folder: Path, data: Path | None
) -> Generator[End]:
    """Yield the ends of items, with `folder` and `data` checked where they run elsewhere.

    The end of a worker that was fit for none of its items is their OSError.
    """
    if not engine.elsewhere:
        with closing(engine.run(items, hear)) as ended:
            yield from ended
        return
    with shared(folder, data) as site:
        placed = [OnSite(item, site) for item in items]
        with closing(engine.run(placed, hear)) as ended:
            for end in ended:
                yield End(end.item.item, end.answer, end.error)


def _appears(mark: Path) -> bool:
    """Test whether a file is there, or appears while a shared folder's caches are renewed."""
    end = time.monotonic() + PATIENCE
    while not mark.is_file():
        if time.monotonic() > end or not mark.parent.is_dir():
            return False
        time.sleep(0.5)
    return True


def _public(package: str) -> str:
    """The version without the build, as CUDA's of torch."""
    return version_of(package).partition("+")[0]
