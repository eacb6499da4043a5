"""The commands as a user runs them: real processes, real files, real signals."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import Command, one_line, run
from fork_server import PLAINLY

import textgen
from textgen.cli import COMMANDS, cli
from textgen.config import ModelConfig, SamplingConfig, TextConfig, TrainingConfig
from textgen.errors import SettingError
from textgen.schema import fields_with_kinds, flag_of, off_flag_of
from textgen.training.request import Request

SETTINGS = [
    "--learning-rate",
    "0.006",  # the tale is soon known by heart, and then all samples are the same
    "--units",
    "24",
    "--embedding-size",
    "12",
    "--batch-size",
    "8",
    "--sequence-length",
    "16",
]
TRACED_PLAINLY = {PLAINLY: "1"}
ONE_LAYER = [*SETTINGS, "--num-layers", "1"]
TALE = "The ferryman kept the river's memory, and the river kept his. "


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Path:
    """A working directory in which a model named `tale` was trained, by a process that imported TensorFlow itself."""
    directory = tmp_path_factory.mktemp("workshop")
    (directory / "tale.txt").write_text("\n".join(f"{TALE}So it went for {n} years." for n in range(300)))
    command = [sys.executable, "-m", "textgen", "train", "tale.txt", "-v", "--steps", "300", *SETTINGS, "--json"]
    command += ["--tensorboard", "events"]
    environment = os.environ | {"TEXTGEN_MODELS_DIR": ""}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    (directory / "train.json").write_bytes(done.stdout)
    (directory / "train.log").write_bytes(done.stderr)
    return directory


def test_training_prints_its_result_as_json(workshop):
    result = json.loads((workshop / "train.json").read_text())
    needed = {"name", "path", "parameters", "vocabulary_size", "steps", "epochs", "train_loss", "validation_loss"}
    needed |= {"validation_bits_per_character", "tokens_per_second", "seconds"}
    assert needed <= set(result)
    assert (result["name"], result["steps"]) == ("tale", 300)
    assert result["validation_loss"] < 2.5


def test_training_says_what_it_does_and_shows_nothing_of_tensorflow(workshop):
    log = (workshop / "train.log").read_text()
    for said in ("tale: ", "2 x 24 LSTM", "cuDNN is not used: ", "textgen sample tale"):
        assert said in log
    for noise in ("WARNING", "oneDNN", "cuda_", "I0000", "Traceback"):
        assert noise not in log


def test_event_files_are_written_where_they_were_asked_for(workshop):
    (path,) = (workshop / "events").iterdir()
    assert "tfevents" in path.name


def test_the_model_directory_holds_what_the_documentation_says(workshop):
    files = {p.name for p in (workshop / "saved_models" / "tale").iterdir()}
    assert files == {
        "config.json",
        "tokenizer.json",
        "weights.safetensors",
        "metrics.jsonl",
        "samples.txt",
        "manifest.json",
    }


def test_sampling_does_not_need_the_corpus(workshop, tmp_path):
    (workshop / "tale.txt").rename(tmp_path / "tale.txt")
    try:
        done = run("sample", "tale", "-p", "The ", "-n", "40", cwd=workshop)
    finally:
        (tmp_path / "tale.txt").rename(workshop / "tale.txt")
    assert done.returncode == 0
    assert done.stdout.decode().startswith("The ")
    assert len(done.stdout.decode()) == len("The ") + 40 + 1


def test_a_sample_as_json_repeats_itself(workshop):
    arguments = ["sample", "tale", "-p", "The ", "-n", "50", "--seed", "7", "-t", "0.9", "--json"]
    first, second = (json.loads(run(*arguments, cwd=workshop).stdout) for _ in range(2))
    assert first == second
    assert set(first) >= {"prompt", "completion", "seed", "settings", "model", "model_sha256"}
    assert (first["prompt"], first["seed"], len(first["completion"])) == ("The ", 7, 50)
    plain = run("sample", "tale", "-p", "The ", "-n", "50", "--seed", "7", "-t", "0.9", cwd=workshop).stdout.decode()
    assert plain == first["prompt"] + first["completion"] + "\n"


def test_both_engines_write_the_same_text(workshop):
    texts = [
        run("sample", "tale", "-p", "So", "-n", "300", "--engine", engine, cwd=workshop).stdout
        for engine in ("numpy", "tensorflow")
    ]
    assert texts[0] == texts[1]


def test_several_samples_differ_and_are_delimited(workshop):
    done = run("sample", "tale", "-n", "30", "--num-samples", "3", "--sample-delimiter", "|", cwd=workshop)
    samples = done.stdout.decode().removesuffix("\n").split("|")
    assert [len(s) for s in samples] == [30, 30, 30]
    assert len(set(samples)) == 3


def test_a_prompt_can_come_from_a_file_or_from_standard_input_and_text_can_go_to_a_file(workshop, tmp_path):
    (tmp_path / "prompt.txt").write_bytes(b"\xef\xbb\xbfThe river\r\n")
    output = tmp_path / "text.txt"
    from_file = run("sample", "tale", "-n", "20", "-f", tmp_path / "prompt.txt", "-o", output, cwd=workshop)
    from_stdin = run("sample", "tale", "-n", "20", "-p", "-", stdin="The river\n", cwd=workshop)
    assert (from_file.returncode, from_file.stdout) == (0, b"")
    assert output.read_bytes() == from_stdin.stdout
    typed = run("sample", "tale", "-n", "20", "-p", "\ufeffThe river\r\n", cwd=workshop)
    windows = run("sample", "tale", "-n", "20", "-p", "-", stdin=b"The \x93river\x94\r", cwd=workshop)
    assert typed.stdout == from_stdin.stdout
    assert "textgen: standard input: read as cp1252: The “river”" in windows.stderr.decode()


def test_text_stops_before_a_stop_string(workshop):
    arguments = ["sample", "tale", "-p", "The ", "-n", "100", "--no-prompt"]
    whole = run(*arguments, cwd=workshop).stdout.decode()
    stop = whole[40:43]
    stopped = run(*arguments, "--stop", stop, cwd=workshop).stdout.decode()
    assert stopped == whole[: whole.index(stop)] + "\n"


def test_unknown_symbols_in_a_prompt_are_named_and_do_not_crash(workshop):
    done = run("sample", "tale", "-p", "Thé ☃", "-n", "10", cwd=workshop)
    assert done.returncode == 0
    assert done.stdout.decode().startswith("The ")
    assert "'é' (read as 'e')" in one_line(done)
    assert "'☃' (skipped)" in one_line(done)


def test_evaluating_reports_both_protocols(workshop):
    result = json.loads(run("evaluate", "tale", "tale.txt", "--json", cwd=workshop).stdout)
    assert result["characters"] == result["tokens"] == len((workshop / "tale.txt").read_text())
    assert result["words"] > 0
    assert result["word_perplexity"] > 1
    assert result["bits_per_character"] == pytest.approx(result["nats_per_character"] / 0.6931471805599453)
    assert result["nats_per_character_windows"] > 0


def test_evaluating_without_a_file_repeats_the_validation_loss_of_training(workshop):
    """But for the beginning: `evaluate` reads a line end first, and then a text that begins within a word."""
    trained = json.loads((workshop / "train.json").read_text())["validation_loss"]
    result = json.loads(run("evaluate", "tale", "--json", cwd=workshop).stdout)
    assert result["nats_per_character"] == pytest.approx(trained, abs=20 / result["characters"])


def test_models_info_and_doctor_answer_in_words_and_in_json(workshop):
    assert run("models", cwd=workshop).stdout.decode().startswith("tale ")
    assert json.loads(run("models", "--json", cwd=workshop).stdout)[0]["name"] == "tale"
    info = json.loads(run("info", "tale", "--json", cwd=workshop).stdout)
    assert (info["model"]["units"], info["corpus"]["name"]) == (24, "tale")
    assert b"units" in run("info", "tale", cwd=workshop).stdout
    report = json.loads(run("doctor", "--json", cwd=workshop).stdout)
    assert report["tensorflow"]["cudnn"].startswith(("yes: ", "no: "))
    assert report["models"] == str(workshop / "saved_models")


def test_a_conversation_through_a_pipe_prints_only_text(workshop):
    done = run("repl", "tale", "-n", "30", stdin="The river\n/exit\n", cwd=workshop)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.decode().strip()) >= 20


def test_the_benchmark_measures_the_sizes_asked_for(workshop):
    """Compiled in test_benchmark.py."""
    arguments = ["--units", "8", "--batch-size", "4", "--sequence-length", "8", "--json"]
    (row,) = json.loads(run("benchmark", *arguments, cwd=workshop, **TRACED_PLAINLY).stdout)
    assert (row["units"], row["num_layers"]) == (8, 2)
    assert row["training_tokens_per_second"] > 0
    assert row["sampling_tokens_per_second"] > 0


def test_every_command_has_help(workshop):
    for command in COMMANDS:
        assert run(command, "--help", cwd=workshop).stdout.decode().startswith(f"Usage: textgen {command}")


# ---- one way in


@pytest.fixture
def asked(monkeypatch) -> list[Request]:
    """Every request that is made from now on; nothing is done for it."""
    requests = []

    def train(request, reporter=None, *, started=None, **_options):
        requests.append(request)
        raise SettingError("enough")

    monkeypatch.setattr("textgen.training.run.train", train)
    return requests


def ask(*arguments: str) -> None:
    done = CliRunner().invoke(cli, ["train", *arguments])
    assert str(done.exception) == "enough", done.output


def ask_in_python(*sources: str, **options) -> None:
    with pytest.raises(SettingError, match="enough"):
        textgen.train(*sources, **options)


def some_value(field: dataclasses.Field, kind: type) -> object:
    """A value of a setting, and not its default."""
    choices = field.metadata["choices"]
    return choices[-1] if choices else {bool: not field.default, int: 7, float: 0.5, str: "abc", tuple: ("abc",)}[kind]


TRAIN_FIELDS = [
    (field, kinds[0])
    for config in (TextConfig, ModelConfig, TrainingConfig)
    for field, kinds in fields_with_kinds(config)
    if (config, field.name) != (ModelConfig, "vocabulary_size")  # the tokenizer's
]


@pytest.mark.parametrize(("field", "kind"), TRAIN_FIELDS, ids=lambda value: getattr(value, "name", ""))
def test_every_setting_of_a_run_is_a_flag_and_a_keyword_that_ask_for_the_same(field, kind, asked):
    value = some_value(field, kind)
    shown = value[0] if kind is tuple else str(value)
    ask("novel.txt", *([flag_of(field.name), shown] if kind is not bool else flags_of(field.name, value)))
    ask_in_python("novel.txt", **{field.name: value})
    assert asked[0] == asked[1]
    assert asked[0].settings == {field.name: value}


def flags_of(name: str, value: bool) -> list[str]:
    return [flag_of(name) if value else off_flag_of(name)]


@pytest.mark.parametrize(
    ("flags", "sources", "options"),
    [
        ([], (), {}),
        (["a.txt", "b.txt", "--name", "both"], ("a.txt", "b.txt"), {"name": "both"}),
        (["--models-dir", "far/away", "--overwrite"], (), {"models_dir": "far/away", "overwrite": True}),
        (["a.txt", "--preset", "tiny", "--no-skip"], ("a.txt",), {"preset": "tiny", "skip": False}),
        (["a.txt", "--init-from", "old", "--steps", "3"], ("a.txt",), {"init_from": "old", "steps": 3}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_and_the_python_interface_ask_for_the_same(flags, sources, options, asked):
    ask(*flags)
    ask_in_python(*sources, **options)
    assert asked[0] == asked[1]
    assert asked[0].sources == sources


def test_what_only_the_command_can_ask_for(asked):
    ask("novel.txt", "--resume", "--dry-run")
    assert asked == [Request(Path("saved_models"), ("novel.txt",), resume=True, dry_run=True)]


@pytest.mark.parametrize("flags", [["--level", "word"], ["--no-tied"], ["--documents", "line"], ["--column", "name"]])
def test_a_resumed_run_keeps_its_settings(flags, capsys):
    with pytest.raises(SystemExit) as ended:
        textgen.cli.main(["train", "--resume", *flags])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said == f"textgen: --resume goes on with the settings of the run; leave out {flags[0]}\n"


# ---- help


def shown_default(field: dataclasses.Field) -> str:
    if isinstance(field.default, bool):
        return "on" if field.default else ""
    return field.metadata["unset"] if field.default is None else str(field.default) if field.default != () else ""


@pytest.mark.parametrize(
    ("command", "settings"),
    [("train", TextConfig), ("train", TrainingConfig), ("train", ModelConfig), ("sample", SamplingConfig)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_help_says_every_setting_in_its_own_sentence_with_its_default(command, settings):
    """What it says of a setting without a default is compared with what the recipe does in test_recipe.py."""
    text = " ".join(CliRunner().invoke(cli, [command, "--help"]).output.split())
    for field in dataclasses.fields(settings):
        if (settings, field.name) == (ModelConfig, "vocabulary_size"):
            continue  # the tokenizer's
        shown = text.partition(f"{flag_of(field.name)} ")[2]
        sentence, said = field.metadata["description"], shown_default(field)
        assert sentence in shown
        after = shown.partition(sentence)[2]
        assert after.startswith(f" [default: {said}]") if said else not after.startswith(" [default")
    assert "--ignore-eod" in text or "--tied / --no-tied" in text


def test_an_existing_model_is_not_overwritten(workshop):
    before = (workshop / "saved_models" / "tale" / "manifest.json").read_bytes()
    done = run("train", "tale.txt", "--steps", "1", cwd=workshop)
    assert done.returncode == 1
    assert "--overwrite" in one_line(done)
    assert (workshop / "saved_models" / "tale" / "manifest.json").read_bytes() == before


def test_a_dry_run_writes_nothing(workshop):
    budget = ["--minutes", "0.05"]  # so that the machine is measured
    arguments = ["--name", "dry", *budget, "--dry-run", *ONE_LAYER]
    done = run("train", "tale.txt", *arguments, cwd=workshop, **TRACED_PLAINLY)
    assert done.returncode == 0, done.stderr.decode()
    assert "nothing was" in done.stderr.decode()
    assert not (workshop / "saved_models" / "dry").exists()


WRONG_INPUT = {
    "a missing file": (["train", "gone.txt"], 1, "gone.txt"),
    "an empty file": (["train", "empty.txt"], 1, "empty"),
    "not UTF-8": (
        ["train", "latin.txt", "--encoding", "utf-8"],
        1,
        "byte 0xE9 at offset 3 (line 1). Leave --encoding out",
    ),
    "UTF-8 with a stray byte": (["train", "stray.txt"], 1, "with 500 stray bytes, the first byte 0xE9 at offset 6"),
    "not clear": (["train", "unclear.txt"], 1, "--encoding mac-cyrillic reads “Привет"),
    "an archive": (["train", "book.txt"], 1, "book.txt is damaged: it looks like a ZIP archive"),
    "too short": (["train", "short.txt", "--init-from", "none"], 1, "Lower --sequence-length to 1 or less"),
    "one repeated symbol": (["train", "same.txt", "--init-from", "none"], 1, "two different characters"),
    "a folder without text": (["train", "folder"], 1, "folder"),
    "two budgets": (
        ["train", "long.txt", "--steps", "5", "--epochs", "1"],
        2,
        "Give one budget of --minutes, --epochs and --steps",
    ),
    "a budget of nothing": (["train", "long.txt", "--minutes", "0"], 2, "--minutes"),
    "no units": (["train", "long.txt", "--units", "0"], 2, "--units"),
    "a model that does not exist": (["sample", "tael"], 1, "Did you mean tale?"),
    "a negative temperature": (["sample", "tale", "-t", "-1"], 2, "--temperature"),
    "a length of nothing": (["sample", "tale", "-n", "0"], 2, "--length"),
    "no samples": (["sample", "tale", "--num-samples", "0"], 2, "--num-samples"),
    "a symbol that may not be replaced": (["sample", "tale", "-p", "☃", "--on-unknown", "error"], 1, "☃"),
    "a prompt file that is missing": (["sample", "tale", "-f", "gone.txt"], 1, "gone.txt"),
    "a name with a path in it": (["train", "long.txt", "--name", "../x"], 1, "--name"),
    "nothing to resume": (["train", "--resume", "--name", "tael"], 1, "tael"),
    "a finished run to resume": (["train", "--resume", "--name", "tale"], 1, "finished"),
    "a file to evaluate that is missing": (["evaluate", "tale", "gone.txt"], 1, "gone.txt"),
    "an unwritable models directory": (["train", "long.txt", "--models-dir", "long.txt/x"], 1, "cannot write"),
}


@pytest.mark.parametrize("case", WRONG_INPUT)
def test_wrong_input_is_one_line_and_leaves_nothing(case, workshop):
    (workshop / "empty.txt").write_text("")
    (workshop / "latin.txt").write_bytes(b"caf\xe9 " * 500)
    (workshop / "stray.txt").write_bytes(b"caf\xc3\xa9 \xe9 " * 500)
    (workshop / "unclear.txt").write_bytes("Привет".encode("mac-cyrillic"))
    (workshop / "book.txt").write_bytes(b"PK\x03\x04" + bytes(100))
    (workshop / "short.txt").write_text("abc")
    (workshop / "same.txt").write_text("a" * 50_000)
    (workshop / "long.txt").write_text(TALE * 200)
    (workshop / "folder").mkdir(exist_ok=True)
    arguments, status, said = WRONG_INPUT[case]
    done = run(*arguments, cwd=workshop)
    assert done.returncode == status, done.stderr.decode()
    assert said in one_line(done)
    assert {p.name for p in (workshop / "saved_models").iterdir()} == {"tale"}


def test_ctrl_c_saves_and_says_how_to_go_on_and_the_resumed_run_ends_as_if_nothing_had_been(workshop):
    """Compiled runs are stopped in test_stopped_runs.py."""
    arguments = ["tale.txt", "--steps", "60", "--sample-every", "20", *ONE_LAYER]
    whole = run("train", *arguments, "--name", "whole", cwd=workshop, **TRACED_PLAINLY)
    assert whole.returncode == 0, whole.stderr.decode()
    where = {"cwd": workshop, "environment": TRACED_PLAINLY}
    command = Command("train", *arguments, "--name", "broken", events=[["step", 6 + 30, 0, "SIGINT"]], **where)
    assert command.wait() == 130
    said = command.errors.read_bytes()
    assert "textgen train --resume --name broken" in said.decode()
    assert run("sample", "broken", "-n", "5", cwd=workshop).returncode == 0
    resumed = run("train", "--resume", "--name", "broken", cwd=workshop, **TRACED_PLAINLY)
    assert resumed.returncode == 0, resumed.stderr.decode()
    models = [workshop / "saved_models" / name for name in ("whole", "broken")]
    assert (
        models[0].joinpath("weights.safetensors").read_bytes() == models[1].joinpath("weights.safetensors").read_bytes()
    )
    assert models[0].joinpath("samples.txt").read_bytes() == models[1].joinpath("samples.txt").read_bytes()
