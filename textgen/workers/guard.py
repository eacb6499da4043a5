"""The end of a process that waits in TensorFlow for others that are gone, and holds Python's lock while it does.

No thread of Python runs then and no signal is heard. So C code, that of `faulthandler`, ends the process; what it says
of that goes to another process, which only waits for it, and says why.
"""

import contextlib
import faulthandler
import subprocess
from collections.abc import Iterator

# faulthandler's first word is "Timeout". A process that ends in another way says nothing, and has its own line.
SCRIPT = 'read -r word; case "$word" in Timeout*) printf "%s\\n" "$0" >&2;; esac'


@contextlib.contextmanager
def guarded(seconds: float, line: str) -> Iterator[None]:
    """End this process with `line` and exit status 1 where the block takes longer than `seconds`."""
    with subprocess.Popen(
        ["/bin/sh", "-c", SCRIPT, line],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C does not end it
    ) as speaker:
        assert speaker.stdin is not None
        faulthandler.dump_traceback_later(seconds, exit=True, file=speaker.stdin)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
