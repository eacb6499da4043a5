"""How much memory is free for this process, and refusing, before anything is begun, what cannot fit in it.

What is free is the least of what the machine and the control groups of the process (a container's limit, say) have
left. Where the system does not tell, nothing is refused.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from textgen.errors import SettingError

SMALL_BYTES = 64 * 2**20  # up to so many nothing is asked
LARGE_BYTES = 2_000_000_000  # from so many on it is said before it is begun
# Of version 2 and version 1: where they lie, the limit, what is used, and what of that can be given up at once.
GROUPS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def check_fits(num_bytes: float, what: str, advice: str) -> None:
    """Raise SettingError where `what` needs more bytes than are free; `advice` says what to do."""
    free = available_bytes() if num_bytes > SMALL_BYTES else None
    if free is not None and num_bytes > free:
        raise SettingError(f"{what} needs about {in_gb(num_bytes)} of memory, and {in_gb(free)} are free. {advice}")


def in_gb(num_bytes: float) -> str:
    """`2.5 GB`."""
    return f"{num_bytes / 1e9:,.1f} GB"


def available_bytes(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take, swap space included; None where nothing is known."""
    found = [*_of_the_machine(root), *_of_the_groups(root)]
    return max(0, min(found)) if found else None


def _of_the_machine(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        yield 1024 * (kilobytes["MemAvailable"] + kilobytes.get("SwapFree", 0))
    except (OSError, ValueError, IndexError, KeyError):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # not of every system
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_the_groups(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        controller = "memory" if "memory" in controllers.split(",") else controllers
        if controller in GROUPS:
            folder, *names = GROUPS[controller]
            own = PurePosixPath(path.lstrip("/"))
            for group in (own, *own.parents):
                yield from _of_a_group(root / folder / group, *names)


def _of_a_group(group: Path, limit: str, used: str, reclaimable: str) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError):  # not there, or "max"
        most, taken = int((group / limit).read_text()), int((group / used).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        yield most - taken + int(stat.get(reclaimable, 0))
