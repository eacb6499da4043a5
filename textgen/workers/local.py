"""The processes that `--workers` starts on this machine, and that do not outlive the run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import textgen
from textgen.messages import shown
from textgen.workers.cluster import LOCAL, Cluster

# What this process imports textgen from is what they import it from; nothing is looked for where the command was typed.
SCRIPT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from textgen.cli import main; main(sys.argv[1:])"
SECONDS_TO_END = 5.0


def start_worker(cluster: Cluster, index: int, timeout: float) -> subprocess.Popen[bytes]:
    """The worker `index`, running. It hears of Ctrl-C from the chief alone, and what it prints is not seen."""
    folder = str(Path(textgen.__file__).parents[1])
    arguments = ["train", "--worker-timeout", str(timeout)]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", SCRIPT, folder, *arguments],
        env=os.environ | {LOCAL: cluster.to_json(index)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def end_workers(processes: Iterable[subprocess.Popen[bytes]], seconds: float = SECONDS_TO_END) -> None:
    """Let workers end that were told to, and end those that do not within so many seconds."""
    ends = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """With which status or by which signal a worker has ended; empty where it has not."""
    try:
        status = process.wait(0.5)  # its connection ends a moment before
    except subprocess.TimeoutExpired:
        return ""
    return f", by {shown(signal.Signals(-status).name)}" if status < 0 else f", with status {status}"
