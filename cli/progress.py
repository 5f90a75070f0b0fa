"""Show a command's progress on the stream that is not taken by its result."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from landscape_cli.errors import discard

if TYPE_CHECKING:
    from landscape.utils.progress import Listener


@contextmanager
def shown(
    json: bool = False, quiet: bool = False, now: Callable[[], float] = time.monotonic
) -> "Iterator[Listener]":
    """A listener that shows progress on stdout; on stderr where stdout belongs to the JSON.

    What was imported until here lives as long as the process: the search for garbage, which went
    through all of torch each time, leaves it out.
    """
    from landscape.utils.progress import silent
    from landscape.utils.progress_display import displayed

    gc.freeze()
    if quiet:
        yield silent
        return
    stream = sys.stderr if json else sys.stdout
    with displayed(stream, now, lambda: discard(stream)) as listener:
        yield listener
