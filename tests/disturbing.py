"""A place with everything that textgen owns, faults that can happen to it, and what must not happen then."""

import dataclasses
import hashlib
import json
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
from driven_runs import SMALL, Driver, train
from fork_server import COUNTED, OFFSETS

from textgen.store import model_directory
from textgen.store.checkpoints import load_newest

LONGEST = 300.0  # seconds of a command; one that takes longer hangs
RUN, DONE, NEW = "novel", "done", "new"  # an unfinished run, a finished model, and one that is made
TALK = b"the cat\n/session desk\n/branch other\n/save story\n/save! named\n/read novel.txt\n/back\n/variants 2\n1\n"

# Every command by what it is asked to do. Those of the first table are quick.
QUICK = {
    "sample": f"sample {DONE} -n 200 -p the",
    "sample -f": f"sample {DONE} -n 200 -f novel.txt",
    "sample -p -": f"sample {DONE} -n 20 -p -",
    "sample -o": f"sample {DONE} -n 5000 -o named --num-samples 2",
    "sample --prompts": f"sample {DONE} -n 20 --prompts novel.txt",
    "replay": "replay out.json",
    "sample of a run": f"sample {RUN} -n 50 --json",
    "repl": f"repl {DONE} -n 20",
    "serve --dry-run": f"serve {DONE} --port 0 --dry-run",
    "evaluate FILE": f"evaluate {DONE} novel.txt",
    "evaluate PAGE": f"evaluate {DONE} page.html",
    "evaluate TABLE": f"evaluate {DONE} rows.csv --column text",
    "evaluate": f"evaluate {DONE} --json",
    "copied": f"copied {DONE} novel.txt --corpus novel.txt --json",
    "score": f"score {DONE} novel.txt --html named",
    "gates": f"gates {DONE} --file novel.txt --html named",
    "export --format html": f"export {DONE} --format html --output named",
    "models": "models",
    "info": f"info {RUN}",
    "report": f"report {DONE} {RUN} --html named",
    "report of a run": f"report {RUN}",
    "verify": f"verify {DONE}",
    "verify of a run": f"verify {RUN} --json",
    "inspect": "inspect novel.txt",
    "inspect PAGE": "inspect page.html --encoding auto",
    "inspect FOLDER": "inspect notes",
    "corpora": "corpora info tiny-shakespeare",
    "doctor": "doctor --json",
    "train --dry-run": f"train novel.txt --name {NEW} --level char --dry-run",
}
LONG = {
    "train": " ".join(train("characters", "--name", NEW)),
    "train --jobs": f"train novel.txt --name {NEW} {SMALL} --steps 8 --level word --val-fraction 0.2 --jobs 2",
    "train TABLE": f"train rows.csv --column text --name {NEW} {SMALL} --steps 8",
    "train FOLDER": f"train notes page.html --name {NEW} {SMALL} --steps 8",
    "train --overwrite": " ".join(train("words", "--name", DONE, "--overwrite")),
    "train --init-from": f"train novel.txt --name {NEW} --init-from {DONE} --steps 8 --checkpoint-every 4",
    "train --resume": f"train --resume --name {RUN}",
    "train --workers": f"train novel.txt --name {NEW} {SMALL} --steps 8 --workers 2",
    "train FILE --resume": f"train novel.txt --resume --name {RUN}",
    "export": f"export {DONE} --output exported",
    "export --format litert": f"export {DONE} --format litert --output exported",
    "benchmark": "benchmark --units 8 --batch-size 4 --sequence-length 8",
    "lesson": "lesson novel.txt novel.txt novel.txt novel.txt --minutes 0.005 --html named",
}
COMMANDS = QUICK | LONG
OF_THE_RUN = [name for name, arguments in COMMANDS.items() if RUN in arguments.replace("novel.txt", "").split()]

# Every path that a command may use, and what may stand there instead.
PATHS = (
    "novel.txt",
    "rows.csv",
    "page.html",
    "notes",
    "notes/one.md",
    "out.json",
    "named",
    "story",
    "desk",
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
    "state/signing_key",
)
LINKS = ("link to itself elsewhere", "link to a directory", "link to a file", "link to nothing", "link to a device")
SPECIAL = ("pipe", "socket", "directory", "file", "unreadable file", "private file of the system")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
KINDS = ("signal", "stop", "full disk", "vanished", "streams", "link", "special file", "clock")


@dataclasses.dataclass
class Fault:
    """What happens to a command."""

    kind: str
    what: str
    path: str = ""
    events: tuple = ()
    streams: dict[str, Path] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Reach:
    """What a command does when it is not disturbed: where a fault can strike it."""

    seconds: float
    moments: dict[str, int]  # how often each moment of fork_server.py comes
    paths: tuple[str, ...]  # those of PATHS that it uses
    reads: bool  # standard input


def draw_fault(kind: str, draw: random.Random, reach: Reach) -> Fault:
    """A fault of that kind, within reach."""
    if kind in ("link", "special file"):
        return Fault(kind, draw.choice(LINKS if kind == "link" else SPECIAL), draw.choice(reach.paths))
    if kind == "streams":
        names = ["output", "errors"] + ["stdin"] * reach.reads
        chosen = draw.sample(names, draw.randint(1, len(names)))
        streams = {name: draw.choice([CLOSED, Path("/dev/full"), Path("gone")]) for name in chosen}
        streams = {name: CLOSED if name == "stdin" else path for name, path in streams.items()}
        return Fault(kind, ", ".join(f"{name} {path.name}" for name, path in streams.items()), streams=streams)
    kinds = {
        "signal": SIGNALS,
        "stop": ("SIGSTOP",),
        "full disk": ("full",),
        "vanished": ("vanished",),
        "clock": ("back", "forward"),
    }
    what = draw.choice(kinds[kind])
    moment = draw.choice(["start", *(name for name, number in reach.moments.items() if number)])
    if moment == "start":
        place = (moment, 1, draw.uniform(0, 0.7 * reach.seconds))
    else:
        place = (moment, draw.randint(1, reach.moments[moment]), 0.0)
    if kind == "clock" and draw.random() < 0.3:  # it was wrong before
        return Fault(kind, what)
    return Fault(kind, what, events=[(*place, what)])


class Scene(Driver):
    """A driver whose folder is made anew for each fault, beside a directory `elsewhere` that no command owns."""

    def __init__(self, folder: Path):
        folder.mkdir()
        super().__init__(folder)
        self.environment |= {"TEXTGEN_STATE_DIR": str(folder / "state")}
        self.elsewhere, self.template = folder.with_name("elsewhere"), folder.with_name("template")
        (folder / "state").mkdir()
        self._write_texts()
        assert self.run(*train("characters", "--name", DONE)) == 0, self.said()
        assert self.run(*train("words"), events=[["step", 6 + 14, 0, "SIGTERM"]]) == 143, self.said()
        assert self.run("sample", DONE, "-n", "30", "--json", "-o", "out.json") == 0, self.said()
        (folder / "log").unlink()
        self.newest = model_directory.checkpoint_dirs(self.path)[0].name
        self.entry = min(os.listdir(folder / "cache" / "prepared"))
        self._furnish()
        shutil.copytree(folder, self.template, symlinks=True)
        shutil.copytree(self.elsewhere, self.template.with_name("elsewhere before"), symlinks=True)
        self.step = load_newest(self.path)[0].progress.step
        self._reaches: dict[str, Reach] = {}
        self.before = snapshot(self.elsewhere)

    def _write_texts(self) -> None:
        """A table, a page and a folder, beside the text of a `Driver`."""
        words = (self.folder / "novel.txt").read_text().split()
        lines = [" ".join(words[i : i + 9]) for i in range(0, len(words), 9)]
        (self.folder / "rows.csv").write_text("id,text\n" + "".join(f'{i},"{line}"\n' for i, line in enumerate(lines)))
        (self.folder / "page.html").write_text("<html><body>" + "".join(f"<p>{line}</p>" for line in lines))
        (self.folder / "notes").mkdir()
        (self.folder / "notes" / "one.md").write_text("\n".join(lines))
        (self.folder / "notes" / "two.txt").write_text("\n".join(lines[::-1]))

    def _furnish(self) -> None:
        """Things of somebody else's, whose names look like those of textgen."""
        for name in ("checkpoints", "step-00000020", ".novel.abcdefgh.tmp", "0" * 32, "prepared"):
            directory = self.elsewhere / name
            directory.mkdir(parents=True)
            for inner in ("config.json", ".config.json.abcdefgh.tmp", "manifest.json", "a letter"):
                (directory / inner).write_text("somebody else's")
        for name in ("a letter", ".a letter.abcdefgh.tmp", ".novel.lock", "weights.safetensors", "f" * 64):
            (self.elsewhere / name).write_text("somebody else's")

    def reach(self, name: str) -> Reach:
        """Where a fault can strike that command; it is run once."""
        if name not in self._reaches:
            self.renew()
            outcome = self.perform(COMMANDS[name], Fault("none", ""))
            assert outcome.how == "as asked", (name, outcome)
            used = {path for kind, path in outcome.met if kind == "used"}
            paths = tuple(path for path in PATHS if self._is_used(path, used))
            moments = {kind: number for kind, number in outcome.met if kind in COUNTED}
            reads = any(word in COMMANDS[name].split() for word in ("repl", "-"))
            seconds = next(number for kind, number in outcome.met if kind == "seconds")
            if name in QUICK:  # whose first run is slower than all that follow
                self.renew()
                again = self.perform(COMMANDS[name], Fault("none", "")).met
                seconds = min(seconds, next(number for kind, number in again if kind == "seconds"))
            self._reaches[name] = Reach(seconds, moments, paths, reads)
        return self._reaches[name]

    def struck(self, fault: Fault, outcome: "Outcome") -> bool:
        """Whether the fault met the command: it happened, a full disk refused a write, or the path was used."""
        if fault.path:
            place = str(self.place_of(fault.path))
            return any(
                kind == "used" and Path(place) in (Path(path), *Path(path).parents) for kind, path in outcome.met
            )
        sign = "refused" if fault.kind == "full disk" else "happened"
        return any(kind == sign for kind, _ in outcome.met) or not fault.events

    def _is_used(self, path: str, used: set[str]) -> bool:
        """Whether a command that used these paths met what stands at `path`; left-over files, in their directory."""
        place = self.place_of(path)
        return str(place.parent if place.suffix == ".tmp" else place) in used

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
        notes = self.folder.with_name("notes")
        notes.write_bytes(b"")
        stdin = None if streams.pop("stdin", None) else TALK
        began = time.monotonic()
        command = Command(
            *arguments.split(),
            cwd=self.folder,
            environment=self.environment,
            stdin=stdin,
            events=[list(event) for event in fault.events],
            notes=notes,
            **streams,
        )
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(command.number, ended, readers))
        watcher.start()
        status = command.wait()
        ended.set()
        watcher.join()
        said = "".join(path.read_text(errors="replace") for path in {*streams.values()} if path.is_file())
        met = [tuple(json.loads(line)) for line in notes.read_text().splitlines()]
        return Outcome(status, said, time.monotonic() - began, met)


@dataclasses.dataclass
class Outcome:
    """How a command ended."""

    status: int
    said: str
    seconds: float
    met: list[tuple] = dataclasses.field(repr=False)  # the notes of fork_server.py

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
