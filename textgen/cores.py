"""How many cores of the CPU this process may use, what memory they have of their own, and work for another one.

A run that is trained keeps the number that it began with: into how many shards a batch is cut, and among how many
threads TensorFlow shares out a product, decide in which order numbers are added, and so the last bits of all weights.
With the same numbers the bytes are the same on any number of cores (seen with 2 x 512 units on one core and on two).
"""

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen.messages import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

MOST_CORES = 1024
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")  # on Linux; a folder for each
UNITS = {"K": 1 << 10, "M": 1 << 20}


def available_cores() -> int:
    """As the system says; a container's share of time is not known to it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_CORES)


@functools.cache
def second_level_cache() -> int:
    """Bytes of a core's second-level cache; 0 where the system does not say."""
    for folder in sorted(CACHES.glob("index*")):
        try:
            level, size = ((folder / name).read_text().strip() for name in ("level", "size"))
            if level == "2":
                return int(size[:-1]) * UNITS[size[-1]] if size[-1:] in UNITS else int(size)
        except (OSError, ValueError):
            continue
    return 0


@functools.cache
def other_core() -> "ThreadPoolExecutor":
    """A thread beside this one, for NumPy and other C code that lets go of Python's lock."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (5 ms, which one text need not pay)

    return ThreadPoolExecutor(1, "textgen-other-core")


def asked_beside(function: "Callable[..., Any]", *arguments: Any, **keywords: Any) -> "Future[Any] | None":
    """What the other core will have done, once it is asked to call `function`.

    None where it cannot be asked: there may be no more threads, or the main thread has ended and this one goes on. Then
    nothing was called.
    """
    try:
        return other_core().submit(function, *arguments, **keywords)
    except RuntimeError:
        return None


os.register_at_fork(after_in_child=other_core.cache_clear)  # a child has no such thread


def notes_on(kept: int | None) -> tuple[str, ...]:
    """What the user of a run should know that goes on, and that began with so many cores; None is not known."""
    now = counted(available_cores(), "core")
    if kept is None:
        return (f"this run has not kept on how many cores it began; it goes on with {now}, which may change its bytes",)
    if kept == available_cores():
        return ()
    return (f"this run began on {counted(kept, 'core')} and goes on as there, which keeps its bytes; here are {now}",)
