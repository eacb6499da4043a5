"""The end of a process that waits in TensorFlow for others that are gone, and holds Python's lock while it does.

No thread of Python runs then and no signal is heard. So C code, that of `faulthandler`, ends the process, and another
process, which only waits for that, says why.
"""

import contextlib
import faulthandler
import os
import subprocess
from collections.abc import Iterator

SCRIPT = 'read -r word; [ "$word" = done ] || printf "%s\\n" "$0" >&2'


@contextlib.contextmanager
def guarded(seconds: float, line: str) -> Iterator[None]:
    """End this process with `line` and exit status 1 where the block takes longer than `seconds`."""
    with (
        open(os.devnull, "w") as nowhere,
        subprocess.Popen(["/bin/sh", "-c", SCRIPT, line], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as speaker,
    ):
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            with contextlib.suppress(OSError):
                speaker.communicate(b"done\n")
