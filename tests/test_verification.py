"""`textgen verify`: all that is wrong with a model, and nothing that is not."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from damaging import change_json, change_weights, replace_content, reseal, write_full_model, write_run

from textgen.cli import main
from textgen.errors import ModelError
from textgen.store import model_directory
from textgen.store.lock import lock_path
from textgen.store.manifest import MANIFEST
from textgen.store.model_directory import CHECKPOINT_FILES, MODEL_FILES
from textgen.store.verification import verify_model


@pytest.fixture
def model_dir(tmp_path) -> Path:
    return write_full_model(tmp_path)


def problems(path: Path) -> dict[str, str]:
    """What is wrong, by file."""
    found = verify_model(path.name, path.parent)
    return {finding.name: finding.problem for finding in found.findings if finding.problem}


def notes(path: Path) -> dict[str, str]:
    return {f.name: f.note for f in verify_model(path.name, path.parent).findings if f.note}


class Ended(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys) -> Callable[..., Ended]:
    """`textgen ARGUMENTS` in this process."""

    def run_main(*arguments: str | Path) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return run_main


# ---- sound


@pytest.mark.parametrize(("level", "storage"), [("char", "float32"), ("word", "int8"), ("char", "float16")])
def test_a_sound_model_has_nothing_but_sound_files(tmp_path, level, storage):
    path = write_full_model(tmp_path, level, storage=storage)
    found = verify_model("tiny", tmp_path)
    assert [finding.name for finding in found.findings] == [*MODEL_FILES, MANIFEST]
    assert {(finding.problem, finding.note) for finding in found.findings} == {(None, None)}
    assert (found.name, found.path, found.is_finished, found.num_problems) == ("tiny", path, True, 0)


def test_a_sound_run_names_the_checkpoint_that_is_used(tmp_path):
    write_run(tmp_path / "run", steps=(10, 20))
    found = verify_model("run", tmp_path)
    assert (found.is_finished, found.num_problems, found.used) == (False, 0, "step-00000020")
    names = [f"checkpoints/step-000000{step}/{name}" for step in (20, 10) for name in (*CHECKPOINT_FILES, MANIFEST)]
    assert [finding.name for finding in found.findings] == names


# ---- everything that is wrong, at once


def test_every_damaged_file_is_said_and_what_else_lies_there(model_dir):
    replace_content(model_dir / "config.json", b"{}")
    replace_content(model_dir / "metrics.jsonl", (model_dir / "metrics.jsonl").read_bytes()[:-1] + b" ")
    (model_dir / "samples.txt").unlink()
    (model_dir / "samples.txt").symlink_to(model_dir / "config.json")
    (model_dir / "tokenizer.json").unlink()
    (model_dir / "plugin.py").write_text("")
    found = problems(model_dir)
    assert re.fullmatch(r"is damaged: manifest.json says \d+ bytes. Received: 2", found.pop("config.json"))
    assert found == {
        "metrics.jsonl": "is damaged: its SHA-256 is not the one in manifest.json",
        "samples.txt": "is a link, which is not followed. Put the file itself there",
        "tokenizer.json": "is missing",
        "plugin.py": "is no part of the model. Move it elsewhere",
    }


@pytest.mark.parametrize(
    ("storage", "number", "problem"),
    [
        ("int8", -128, "cannot be read: tensor 'embedding' holds the integer -128"),
        ("float16", np.inf, "tensor 'embedding' holds numbers that are not finite, or too large"),
    ],
)
def test_numbers_of_16_and_8_bits_are_looked_at(tmp_path, storage, number, problem):
    path = write_full_model(tmp_path, storage=storage)
    change_weights(path / "weights.safetensors", lambda w: w["embedding"].__setitem__((3, 1), number))
    reseal(path)
    assert problems(path) == {"weights.safetensors": problem}


def test_without_a_whole_manifest_the_files_are_still_read(model_dir):
    change_weights(model_dir / "weights.safetensors", lambda w: w.pop("embedding"))
    (model_dir / MANIFEST).write_text("{}")
    assert problems(model_dir) == {
        MANIFEST: "is not of format 3, the one that this version of textgen reads",
        "weights.safetensors": "is not of the shape that the config states: there is no tensor 'embedding'",
    }


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("config.json", lambda p: change_json(p, lambda c: c["model"].update(units=0)), "`units` must be at least 1"),
        (
            "tokenizer.json",
            lambda p: change_json(p, lambda t: t.update(symbols="ab")),
            "disagree on the vocabulary size",
        ),
        ("weights.safetensors", lambda p: change_weights(p, lambda w: w["embedding"].fill(np.nan)), "not finite"),
        ("weights.safetensors", lambda p: p.write_bytes(b"PK\3\4"), "its header cannot be"),
        ("metrics.jsonl", lambda p: p.write_text('{"step": 1}\n'), "line 1 is no evaluation: Evaluated expects"),
        ("metrics.jsonl", lambda p: p.write_bytes(p.read_bytes() + b"NaN\n"), "line 3 is no evaluation: NaN is no"),
        ("metrics.jsonl", lambda p: p.write_bytes(b"[" * 10_000), "line 1 is no evaluation: "),
        ("samples.txt", lambda p: p.write_bytes(b"\xc3"), "is not UTF-8"),
    ],
)
def test_what_a_stranger_sealed_is_read_too(model_dir, name, change, problem):
    change(model_dir / name)
    reseal(model_dir)
    found = problems(model_dir)
    assert list(found) == [name]
    assert problem in found[name]


def test_leftovers_of_a_killed_process_are_said_to_be_harmless(model_dir):
    for name in (".config.json.abc.tmp", ".DS_Store", "Thumbs.db"):
        (model_dir / name).write_text("")
    (model_dir / "checkpoints").mkdir()
    assert problems(model_dir) == {}
    assert notes(model_dir) == {
        ".DS_Store": "no part of the model; never read",
        ".config.json.abc.tmp": "left by an interrupted save; it does no harm and may be deleted",
        "Thumbs.db": "no part of the model; never read",
        "checkpoints": "left from the training; no longer used, and may be deleted",
    }


# ---- runs


def test_of_a_run_every_checkpoint_is_looked_at(tmp_path):
    newest, before = write_run(tmp_path / "run", steps=(10, 20))
    (newest / "training.safetensors").unlink()
    change_json(newest / "progress.json", lambda p: p.update(step=-1))
    (newest.parent / ".step-00000030.abc.tmp").mkdir()
    (newest.parent / "step-40").mkdir()
    (tmp_path / "run" / "config.json").write_text("")
    (tmp_path / "run" / "notes.txt").write_text("")
    assert problems(tmp_path / "run").keys() == {
        f"checkpoints/{newest.name}/training.safetensors",
        f"checkpoints/{newest.name}/progress.json",
        "checkpoints/step-40",
        "notes.txt",
    }
    assert notes(tmp_path / "run").keys() == {"checkpoints/.step-00000030.abc.tmp", "config.json"}
    assert verify_model("run", tmp_path).used == before.name
    assert model_directory.load_model("run", tmp_path).path == before


@pytest.mark.parametrize("name", ["progress.json", "training.safetensors"])
def test_what_a_stranger_sealed_in_a_checkpoint_is_read_too(tmp_path, name):
    (checkpoint,) = write_run(tmp_path / "run", steps=(10,))
    if name == "progress.json":
        change_json(checkpoint / name, lambda p: p["history"].append(1))
    else:
        change_weights(checkpoint / name, lambda w: w["output.bias"].fill(np.inf))
    reseal(checkpoint, CHECKPOINT_FILES)
    assert list(problems(tmp_path / "run")) == [f"checkpoints/{checkpoint.name}/{name}"]
    assert verify_model("run", tmp_path).used is None


def test_a_linked_checkpoint_is_not_looked_into(tmp_path):
    (checkpoint,) = write_run(tmp_path / "run", steps=(10,))
    checkpoint.rename(tmp_path / "elsewhere")
    checkpoint.symlink_to(tmp_path / "elsewhere")
    (problem,) = problems(tmp_path / "run").values()
    assert problem == "is a link or no directory, and is not looked into"


def test_what_holds_no_model_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, said in (("empty", "holds no model"), ("none", "no model 'none'")):
        with pytest.raises(ModelError, match=said):
            verify_model(name, tmp_path)


LIFE_OF_A_RUN = """
import os, sys
from pathlib import Path
from damaging import write_full_model, write_run
from textgen.store import atomic
from textgen.store.lock import RunLock
from textgen.store.run_directory import replacing
os.fsync = lambda _: None
path = Path(sys.argv[1])
with RunLock() as lock:
    lock.acquire(path)
    while True:
        with replacing(path, overwrite=True) as finished:
            for step in range(8):
                write_run(path, steps=(step,))
                print(step, flush=True)
            other = write_full_model(path.parent / "made")
            for name in sorted(os.listdir(other), key="manifest.json".__eq__):
                (other / name).rename(path / name)
            other.rmdir()
            atomic.remove_directory(path.parent, path.name, "checkpoints")
            finished()
"""


def test_of_a_run_that_goes_on_nothing_is_wrong_at_any_moment(tmp_path):
    """A process writes checkpoints, finishes its model and replaces it, again and again."""
    path, seen = tmp_path / "models" / "novel", []
    command = [sys.executable, "-c", LIFE_OF_A_RUN, path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        process.stdout.readline()
        while len(seen) < 40 or len({(found.is_finished, found.is_running) for found in seen}) < 2:
            assert process.poll() is None
            seen.append(verify_model("novel", path.parent))
            assert {f.name: f.problem for f in seen[-1].findings if f.problem} == {}
        process.kill()
    assert {(found.is_finished, found.is_running) for found in seen} == {(True, False), (False, True)}
    notes = {finding.note for found in seen if found.is_running for finding in found.findings}
    assert notes <= {None, "being written"}
    assert not verify_model("novel", path.parent).is_running


@pytest.mark.parametrize("is_running", [True, False])
def test_files_of_a_model_that_is_being_finished_are_left_over_only_where_its_run_has_ended(tmp_path, is_running):
    path = tmp_path / "models" / "novel"
    write_run(path, steps=(3,))
    (path / "config.json").write_text("{}")  # moved here before the others, and the manifest last
    if is_running:
        lock_path(path).write_text(f"{os.getppid()}\n")  # a process that lives, and is not this one
    found = verify_model("novel", path.parent)
    (note,) = [finding.note for finding in found.findings if finding.name == "config.json"]
    assert found.is_running == is_running
    assert (note == "being written") == is_running
    assert found.num_problems == 0


@pytest.mark.parametrize(("found", "said"), [(2, "of format 2, an older one"), (4, "of format 4, a newer one")])
def test_a_model_of_another_format_is_said_to_be_one_and_not_to_be_damaged(model_dir, run, found, said):
    for name in ("config.json", "tokenizer.json", MANIFEST):
        change_json(model_dir / name, lambda document: document.update(format=found))
    ended = run("verify", model_dir)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"textgen: {model_dir} is {said} than this textgen reads (3). ")
    assert said in run("sample", model_dir).stderr


# ---- the command


def test_the_command_shows_a_short_table_and_ends_with_0(model_dir, run):
    result = run("verify", "tiny", "--models-dir", model_dir.parent)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"{name:<19}  ok" for name in (*MODEL_FILES, MANIFEST)]


def test_the_command_ends_with_1_and_says_how_many_files_are_wrong(model_dir, run):
    (model_dir / "samples.txt").unlink()
    (model_dir / "\x1b]0;owned\x07").write_text("")
    result = run("verify", "tiny", "--models-dir", model_dir.parent)
    assert result.exit_code == 1
    assert "samples.txt          WRONG  is missing" in result.stdout
    assert result.stdout.replace("\n", "").isprintable()
    said = f"textgen: {model_dir}: 2 of 7 files are wrong. Restore them from a copy, or train it again\n"
    assert result.stderr == said


def test_the_command_says_what_a_damaged_run_goes_on_with(tmp_path, run):
    newest, before = write_run(tmp_path / "run", steps=(10, 20))
    (newest / "config.json").unlink()
    result = run("verify", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == f"not finished: {before.name} is the newest whole checkpoint"
    assert result.stderr.endswith(
        f"1 of 12 files is wrong. {before.name} is whole, and is what sample and train --resume use\n"
    )
    (before / "config.json").unlink()
    result = run("verify", tmp_path / "run")
    assert result.stderr.endswith("2 of 12 files are wrong. Nothing can be used; train it again\n")


def test_the_command_writes_json(model_dir, run):
    (model_dir / "samples.txt").unlink()
    result = run("verify", "tiny", "--models-dir", model_dir.parent, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document.keys() == {"name", "path", "finished", "running", "sound", "checkpoint", "files"}
    assert (document["name"], document["finished"], document["sound"]) == ("tiny", True, False)
    assert document["files"][4] == {"name": "samples.txt", "problem": "is missing", "note": None}


# ---- what a model says of itself, on a terminal


EVIL = "\x1b[31m\x9b2J\u202e\x07"


@pytest.mark.parametrize(
    "command", [["info", "tiny"], ["models"], ["verify", "tiny"], ["info", "tiny", "--json"]], ids=" ".join
)
def test_what_a_config_says_moves_no_cursor(model_dir, run, command):
    def change(config: dict) -> None:
        config["corpus"].update(name=EVIL, sources=[EVIL, "novel.txt"])
        config["text"].update(encoding=EVIL)
        config["versions"].update({EVIL: EVIL, "textgen": "1\n2"})
        config["notice"] = {"licence": EVIL, "text": f"1\n{EVIL}", "works": [EVIL, "a\nb"]}

    change_json(model_dir / "config.json", change)
    reseal(model_dir)
    ended = run(*command, "--models-dir", model_dir.parent)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.replace("\n", "").isprintable()
    if command[-1] == "--json":
        assert json.loads(ended.stdout)["corpus"]["name"] == EVIL


@pytest.mark.parametrize("command", ["info", "models", "verify", "sample"])
def test_what_is_said_of_a_damaged_model_moves_no_cursor(model_dir, run, command):
    change_json(model_dir / "config.json", lambda c: c["text"].update({EVIL: 1, "level": EVIL}))
    reseal(model_dir)
    ended = run(*([command] if command == "models" else [command, "tiny"]), "--models-dir", model_dir.parent)
    assert ended.exit_code == (0 if command == "models" else 1)
    assert (ended.stdout + ended.stderr).replace("\n", "").isprintable()


def test_names_with_control_characters_are_shown_harmlessly(model_dir, run):
    ended = run("info", EVIL, "--models-dir", str(model_dir.parent) + "/\x07\x9b31m")
    assert ended.exit_code == 1
    assert not {"\x07", "\x9b"} & set(ended.stderr)


def test_too_little_memory_is_one_line(model_dir, run, monkeypatch):
    def exhausted(*_arguments):
        raise MemoryError

    monkeypatch.setattr(model_directory, "find_model", exhausted)
    ended = run("verify", model_dir)
    said = "textgen: there is not enough memory. Close other programs, or ask for less at once\n"
    assert ended == (1, "", said)
