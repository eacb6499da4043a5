"""A place with everything that textgen owns, faults that can happen to it, and what must not happen then."""

import dataclasses
import hashlib
import os
import random
import shutil
import signal
import socket
import stat
import threading
import time
from pathlib import Path

from commands import CLOSED, Command
from driven_runs import Driver, train
from fork_server import OFFSETS

from textgen.store import model_directory
from textgen.store.checkpoints import load_newest

LONGEST = 120.0  # seconds of a command; one that takes longer hangs
RUN, DONE, NEW = "novel", "done", "new"  # an unfinished run, a finished model, and one that is made
TALK = b"the cat\n/save story\n/save! named\n/read novel.txt\n/back\n"

# Every command by what it is asked to do. Those of the first table are quick.
QUICK = {
    "sample": f"sample {DONE} -n 200 -p the",
    "sample -o": f"sample {DONE} -n 50 -o named --num-samples 2",
    "sample of a run": f"sample {RUN} -n 50 --json",
    "repl": f"repl {DONE} -n 20",
    "evaluate FILE": f"evaluate {DONE} novel.txt",
    "evaluate": f"evaluate {DONE} --json",
    "models": "models",
    "info": f"info {RUN}",
    "report": f"report {DONE} {RUN} --html named",
    "report of a run": f"report {RUN}",
    "verify": f"verify {DONE}",
    "verify of a run": f"verify {RUN} --json",
    "inspect": "inspect novel.txt",
    "corpora": "corpora info tinyshakespeare",
    "doctor": "doctor --json",
    "train --dry-run": f"train novel.txt --name {NEW} --level char --dry-run",
}
LONG = {
    "train": " ".join(train("characters", "--name", NEW)),
    "train --overwrite": " ".join(train("words", "--name", DONE, "--overwrite")),
    "train --init-from": f"train novel.txt --name {NEW} --init-from {DONE} --steps 8 --checkpoint-every 4",
    "train --resume": f"train --resume --name {RUN}",
    "train FILE --resume": f"train novel.txt --resume --name {RUN}",
    "export": f"export {DONE} --output exported",
    "benchmark": "benchmark --units 8 --batch-size 4 --sequence-length 8",
}
COMMANDS = QUICK | LONG

# Every path that a command may open, and what may stand there instead.
PATHS = (
    "novel.txt",
    "named",
    "story",
    "exported",
    "models",
    f"models/{DONE}",
    f"models/{DONE}/config.json",
    f"models/{DONE}/weights.safetensors",
    f"models/{DONE}/tokenizer.json",
    f"models/{DONE}/manifest.json",
    f"models/{DONE}/.config.json.abcdefgh.tmp",
    f"models/{RUN}",
    f"models/{RUN}/.{RUN}.abcdefgh.tmp",
    f"models/{RUN}/checkpoints",
    f"models/{RUN}/checkpoints/.step-00000020.abcdefgh.tmp",
    f"models/{RUN}/checkpoints/NEWEST",
    f"models/{RUN}/checkpoints/NEWEST/training.safetensors",
    f"models/{RUN}/checkpoints/NEWEST/manifest.json",
    f"models/.{RUN}.lock",
    f"models/.{NEW}.lock",
    f"models/.{NEW}.abcdefgh.tmp",
    f"models/{NEW}",
    "cache",
    "cache/prepared",
    "cache/prepared/ENTRY",
    "cache/prepared/ENTRY/train_ids",
    "cache/prepared/ENTRY/facts.json",
    "state",
    "state/trained_from",
    "state/repl_history",
)
LINKS = ("link to itself elsewhere", "link to a directory", "link to a file", "link to nothing", "link to a device")
SPECIAL = ("pipe", "socket", "directory", "file", "unreadable file", "private file of the system")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
MOMENTS = {"start": 1, "writing": 80, "preparing": 30, "step": 20, "evaluation": 2}
KINDS = ("signal", "stop", "full disk", "vanished", "streams", "link", "special file", "clock")


@dataclasses.dataclass
class Fault:
    """What happens to a command."""

    kind: str
    what: str
    path: str = ""
    events: tuple = ()
    streams: dict[str, Path] = dataclasses.field(default_factory=dict)


def draw_fault(kind: str, draw: random.Random) -> Fault:
    """A fault of that kind."""
    moment = draw.choice([*MOMENTS])
    place = (moment, draw.randint(1, MOMENTS[moment]), draw.uniform(0, 1.5 if moment == "start" else 0.0))
    if kind == "signal":
        what = draw.choice(SIGNALS)
        return Fault(kind, what, events=[(*place, what)])
    if kind == "stop":
        return Fault(kind, "SIGSTOP", events=[(*place, "SIGSTOP")])
    if kind in ("full disk", "vanished"):
        return Fault(kind, kind, events=[(*place, kind.split()[0])])
    if kind == "clock":
        what = draw.choice(["back", "forward"])
        return Fault(kind, what, events=[(*place, what)] if draw.random() < 0.7 else [])
    if kind == "streams":
        chosen = draw.sample(["stdin", "output", "errors"], draw.randint(1, 3))
        streams = {name: draw.choice([CLOSED, Path("/dev/full"), Path("gone")]) for name in chosen}
        streams = {name: CLOSED if name == "stdin" else path for name, path in streams.items()}
        return Fault(kind, ", ".join(f"{name} {path.name}" for name, path in streams.items()), streams=streams)
    return Fault(kind, draw.choice(LINKS if kind == "link" else SPECIAL), draw.choice(PATHS))


class Scene(Driver):
    """A driver whose folder is made anew for each fault, beside a directory `elsewhere` that no command owns."""

    def __init__(self, folder: Path):
        folder.mkdir()
        super().__init__(folder)
        self.environment |= {"TEXTGEN_STATE_DIR": str(folder / "state")}
        self.elsewhere, self.template = folder.with_name("elsewhere"), folder.with_name("template")
        (folder / "state").mkdir()
        assert self.run(*train("characters", "--name", DONE)) == 0, self.said()
        assert self.run(*train("words"), events=[["step", 6 + 14, 0, "SIGTERM"]]) == 143, self.said()
        (folder / "log").unlink()
        self.newest = model_directory.checkpoint_dirs(self.path)[0].name
        self.entry = min(os.listdir(folder / "cache" / "prepared"))
        self._furnish()
        shutil.copytree(folder, self.template, symlinks=True)
        shutil.copytree(self.elsewhere, self.template.with_name("elsewhere before"), symlinks=True)
        self.step = load_newest(self.path)[0].progress.step
        self.before = snapshot(self.elsewhere)

    def _furnish(self) -> None:
        """Things of somebody else's, whose names look like those of textgen."""
        for name in ("checkpoints", "step-00000020", ".novel.abcdefgh.tmp", "0" * 32, "prepared"):
            directory = self.elsewhere / name
            directory.mkdir(parents=True)
            for inner in ("config.json", ".config.json.abcdefgh.tmp", "manifest.json", "a letter"):
                (directory / inner).write_text("somebody else's")
        for name in ("a letter", ".a letter.abcdefgh.tmp", ".novel.lock", "weights.safetensors", "f" * 64):
            (self.elsewhere / name).write_text("somebody else's")

    def renew(self) -> None:
        """Everything as it was."""
        for place, template in ((self.folder, self.template), (self.elsewhere, None)):
            shutil.rmtree(place)
            shutil.copytree(template or self.template.with_name("elsewhere before"), place, symlinks=True)

    def place_of(self, path: str) -> Path:
        """Where a path of `PATHS` lies."""
        return self.folder / path.replace("NEWEST", self.newest).replace("ENTRY", self.entry)

    def put(self, fault: Fault) -> None:
        """Let what the fault says stand at its path; what stood there is moved to a place of its own."""
        if fault.kind == "clock" and not fault.events:  # it was wrong while everything was written
            offset = OFFSETS[fault.what]
            for written in self.folder.rglob("*"):
                os.utime(written, (time.time() - offset,) * 2)
        if not fault.path:
            return
        path = self.place_of(fault.path)
        aside = self.folder.with_name("aside")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        stood = os.path.lexists(path)
        if stood:
            path.rename(aside / path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        targets = {
            "link to itself elsewhere": aside / path.name,
            "link to a directory": self.elsewhere,
            "link to a file": self.elsewhere / "a letter",
            "link to nothing": self.elsewhere / "nothing",
            "link to a device": Path("/dev/zero"),
            "private file of the system": Path("/proc/self/environ"),
        }
        if fault.what in targets:
            path.symlink_to(targets[fault.what])
        elif fault.what == "pipe":
            os.mkfifo(path)
        elif fault.what == "socket":
            with socket.socket(socket.AF_UNIX) as unix:
                here = os.getcwd()
                os.chdir(path.parent)  # the name of a socket is short
                unix.bind(path.name)
                os.chdir(here)
        elif fault.what == "directory":
            path.mkdir()
            (path / "a letter").write_text("somebody else's")
        else:
            path.write_text("somebody else's")
            if fault.what == "unreadable file":
                path.chmod(0)

    def take_away(self, fault: Fault) -> None:
        """Undo `put`, as far as the command has left what was put there."""
        if not fault.path:
            return
        path, aside = self.place_of(fault.path), self.folder.with_name("aside")
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        if os.path.lexists(aside / path.name):
            (aside / path.name).rename(path)

    def perform(self, arguments: str, fault: Fault) -> "Outcome":
        """Run the command, let the fault happen, and wait for its end."""
        streams = {"log": self.log} | fault.streams
        if fault.streams:
            streams = {"output": self.folder / "out", "errors": self.folder / "err"} | fault.streams
        readers = {}
        for name, path in streams.items():
            if path == Path("gone"):
                streams[name] = self.folder / f"{name} that is read"
                os.mkfifo(streams[name])
                readers[streams[name]] = os.open(streams[name], os.O_RDWR)
        stdin = None if streams.pop("stdin", None) else TALK
        command = Command(
            *arguments.split(),
            cwd=self.folder,
            environment=self.environment,
            stdin=stdin,
            events=[list(event) for event in fault.events],
            **streams,
        )
        began = time.monotonic()
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(command.number, ended, readers))
        watcher.start()
        status = command.wait()
        ended.set()
        watcher.join()
        said = "".join(path.read_text(errors="replace") for path in {*streams.values()} if path.is_file())
        return Outcome(status, said, time.monotonic() - began)


@dataclasses.dataclass
class Outcome:
    """How a command ended."""

    status: int
    said: str
    seconds: float

    @property
    def how(self) -> str:
        """In a word."""
        if self.seconds >= LONGEST:
            return "hung"
        if self.status < 0:
            return signal.Signals(-self.status).name
        return {0: "as asked", 1: "a line", 2: "usage"}.get(self.status, "stopped")


def _watch(process: int, ended: threading.Event, readers: dict[Path, int]) -> None:
    """Let readers go a moment after they were found, wake what was stopped, and end what hangs."""
    began = time.monotonic()
    while not ended.wait(0.2):
        for path in [path for path in readers if _has_opened(process, path)]:
            os.close(readers.pop(path))
        if _is_stopped(process):
            os.kill(process, signal.SIGCONT)
        if time.monotonic() - began > LONGEST:
            os.kill(process, signal.SIGKILL)
    for reader in readers.values():
        os.close(reader)


def _has_opened(process: int, path: Path) -> bool:
    """Whether standard output or error of the process is the pipe at `path`; opening it waits for a reader."""
    streams = [f"/proc/{process}/fd/{number}" for number in (1, 2)]
    return any(os.path.exists(stream) and os.path.samefile(stream, path) for stream in streams)


def _is_stopped(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def snapshot(directory: Path) -> dict[str, tuple]:
    """Everything in a directory: what it is, its mode, and its content."""
    found = {}
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        content = os.readlink(path) if stat.S_ISLNK(mode) else ""
        if stat.S_ISREG(mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(directory))] = (mode, content)
    return found
