"""Whatever happens to any command: nothing is lost, nothing hangs, nothing is touched that textgen does not own.

Real processes; the faults are drawn by a seeded generator: signals, a stop, a disk that is full or gone, streams that
are closed, full or left by their reader, links and special files at every path that a command opens, a wrong clock. A
few by default; `pytest -m soak tests/test_disturbances.py -s` draws until 500 have struck and prints a table, which
TEXTGEN_SOAK_FAULTS and TEXTGEN_SOAK_SEED cut into pieces.
"""

import collections
import dataclasses
import itertools
import os
import random

import pytest
from disturbing import COMMANDS, DONE, KINDS, LONG, OF_THE_RUN, QUICK, RUN, Fault, Scene, draw_fault, snapshot
from driven_runs import RESUME, left_by

from textgen import cli
from textgen.store import manifest, model_directory
from textgen.store.checkpoints import load_newest

TEXTS = ("novel.txt", "rows.csv", "page.html", "notes/one.md", "notes/two.txt")
QUICK_OF = {"vanished": ["sample of a run", "info", "verify of a run"], "full disk": ["sample -o", "repl"]}
FOLLOWED = {"link to itself elsewhere", "link to a directory", "link to nothing"}  # by what is made in them


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("disturbed") / "home")


@pytest.fixture(scope="module")
def undisturbed(scene):
    """What the unfinished run leaves that goes on and is not disturbed."""
    assert scene.run(*RESUME) == 0, scene.said()
    left = left_by(scene.path)
    scene.renew()
    return left


def disturb(scene: Scene, undisturbed: dict, name: str, fault: Fault) -> str:
    """Let the fault happen to the command of that name, and check everything. How it ended; "" where nothing struck."""
    scene.renew()
    scene.put(fault)
    try:
        outcome = scene.perform(COMMANDS[name], fault)
    finally:
        _check_elsewhere(scene, fault)
        scene.take_away(fault)
    what = f"{name}: {fault}: {outcome}"
    assert outcome.how != "hung", what
    assert "Traceback" not in outcome.said, what
    for text in TEXTS:
        assert (scene.folder / text).read_bytes() == (scene.template / text).read_bytes(), what
    if not (name == "train --overwrite" and fault.path.startswith(f"models/{DONE}")):  # that is what it replaces
        _check_finished(scene, name, fault, what)
    if fault.kind != "vanished":
        _check_run(scene, undisturbed, name in LONG, what)
    return outcome.how if scene.struck(fault, outcome) else ""


def _check_elsewhere(scene: Scene, fault: Fault) -> None:
    """What is somebody else's is as it was, unless a link that is written through leads there."""
    now = snapshot(scene.elsewhere)
    if (fault.what, fault.path) == ("link to a file", "named"):
        now["a letter"] = scene.before["a letter"]
    if fault.kind == "link" and fault.what in FOLLOWED:
        now = {name: found for name, found in now.items() if name in scene.before}
    assert now == scene.before, fault


def _check_finished(scene: Scene, name: str, fault: Fault, what: str) -> None:
    """The finished model is there, the one before or the one that the command made in its place."""
    path, before = scene.models_dir / DONE, snapshot(scene.template / "models" / DONE)
    if name == "train --overwrite" and not (path / manifest.MANIFEST).exists():  # the run that replaces it goes on
        assert snapshot(model_directory.set_aside_path(path)) == before, what
        if scene.run("train", "--resume", "--name", DONE) != 0:  # it was killed before it had a checkpoint
            assert (snapshot(path), "is finished" in scene.said()) == (before, True), f"{what}: {scene.said()}"
    if name == "train --overwrite":
        manifest.verify(path, model_directory.MODEL_FILES)
    else:
        assert snapshot(path) == before, what


def _check_run(scene: Scene, undisturbed: dict, is_long: bool, what: str) -> None:
    """The unfinished run has lost nothing, and ends as if nothing had happened."""
    if not os.path.lexists(scene.path / manifest.MANIFEST):
        checkpoint, problems = load_newest(scene.path)
        assert (problems, checkpoint.progress.step >= scene.step) == ([], True), what
        if not is_long:
            assert snapshot(scene.path) == snapshot(scene.template / "models" / RUN), what
            return
        assert scene.run(*RESUME) == 0, f"{what}: {scene.said()}"
    scene.run(*RESUME)  # says that it is finished, when the last of it is removed
    assert left_by(scene.path) == undisturbed, what
    assert {*os.listdir(scene.path)} == {*model_directory.MODEL_FILES, manifest.MANIFEST}, what


def draw_command(kind: str, draw: random.Random) -> str:
    """The name of a command that a fault of that kind can strike."""
    names = {"vanished": OF_THE_RUN, "full disk": [*LONG, "sample -o", "repl"]}.get(kind)
    return draw.choice(names or ([*QUICK] if draw.random() < 0.4 else [*LONG]))


def disturb_again_and_again(scene: Scene, undisturbed: dict, number: int, seed: int) -> collections.Counter:
    """So many faults that strike, of every kind in turn, and those that missed, which are checked as well."""
    draw, table, kinds = random.Random(seed), collections.Counter(), itertools.cycle(KINDS)
    while sum(number for (_, how), number in table.items() if how) < number:
        kind = next(kinds)
        name = draw_command(kind, draw)
        if kind in ("link", "special file") and not scene.reach(name).paths:
            name = "train"
        table[kind, disturb(scene, undisturbed, name, draw_fault(kind, draw, scene.reach(name)))] += 1
        assert table.total() < 3 * number, table
    return table


def test_every_command_is_disturbed():
    assert {arguments.split()[0] for arguments in COMMANDS.values()} == set(cli.COMMANDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_loses_nothing(scene, undisturbed, kind):
    draw = random.Random(kind)
    name = draw.choice(QUICK_OF.get(kind, ["sample", "repl", "evaluate FILE", "score", "info", "verify", "replay"]))
    reach = scene.reach(name)
    for _ in range(40):
        if disturb(scene, undisturbed, name, draw_fault(kind, draw, reach)):
            return
        reach = dataclasses.replace(reach, seconds=0.9 * reach.seconds)  # other work may have slowed what was timed
    pytest.fail(f"{name}: nothing struck in 40 faults")


@pytest.mark.soak
def test_five_hundred_faults_lose_nothing_hang_nowhere_and_touch_nothing_else(scene, undisturbed):
    number, seed = (
        int(os.environ.get(f"TEXTGEN_SOAK_{name}", value)) for name, value in (("FAULTS", 500), ("SEED", 0))
    )
    table = disturb_again_and_again(scene, undisturbed, number, seed)
    ends = sorted({how for _, how in table})
    print("\n" + f"{'fault':<16}" + "".join(f"{end or 'missed':>10}" for end in ends))
    for kind in KINDS:
        print(f"{kind:<16}" + "".join(f"{table[kind, end]:>10}" for end in ends))
