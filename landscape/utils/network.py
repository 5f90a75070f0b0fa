"""The network is out of reach of other libraries' code unless the user allowed downloads."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
REFUSAL = "it reaches for the network, and downloads are not allowed. Pass --download to allow them"


def may_download() -> bool:
    """Test whether the user allowed downloads: LANDSCAPE_DOWNLOAD is 1."""
    return os.environ.get("LANDSCAPE_DOWNLOAD") == "1"


class _Offline(OSError):
    """A connection that was refused here."""


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise _Offline(REFUSAL)


@contextmanager
def offline(library: str) -> Iterator[None]:
    """Refuse every look-up of a host and every connection inside, unless downloads are allowed.

    Raises ValueError, in one line, where the code inside fails for it.
    """
    if may_download():
        yield
        return
    switches = {name: os.environ.get(name) for name in SWITCHES}
    looked_up, connect = socket.getaddrinfo, socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse()
        connect(self, address)

    os.environ.update(dict.fromkeys(SWITCHES, "1"))
    socket.getaddrinfo, socket.socket.connect = _refuse, connect_locally  # type: ignore
    try:
        yield
    except Exception as error:
        if _is_refused(error):
            raise ValueError(f"{library}: {REFUSAL}.") from error
        raise
    finally:
        socket.getaddrinfo, socket.socket.connect = looked_up, connect  # type: ignore
        for name, value in switches.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_refused(error: BaseException | None) -> bool:
    """Test whether a refused connection is among an error's causes; libraries wrap it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        reasons = [*error.args, getattr(error, "reason", None)]
        if isinstance(error, _Offline) or any(isinstance(r, _Offline) for r in reasons):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
