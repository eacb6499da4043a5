"""The README and its daughters cannot drift: their commands, flags, links, names, tables and help texts are real.

`python tests/test_readme.py` writes the help texts of `textgen/cli/README.md` anew.
"""

import ast
import contextlib
import dataclasses
import inspect
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, write_stored_model

import textgen
from textgen import api
from textgen.cli import COMMANDS, cli
from textgen.config import ModelConfig, SamplingConfig, TextConfig, TrainingConfig
from textgen.corpus.catalogue import CATALOGUE
from textgen.store import manifest, model_directory, strict_json

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
CLI, TESTS, MODELS, CORPORA = (
    REPOSITORY / room / "README.md" for room in ("textgen/cli", "tests", "saved_models", "corpora")
)
PAGES = [
    README,
    MODELS,
    *sorted(p for room in ("textgen", "tests", "corpora") for p in (REPOSITORY / room).rglob("*.md")),
]
TEXTS = {str(page.relative_to(REPOSITORY)): page.read_text() for page in PAGES}
MAX_LINES, MAX_COLUMNS = 220, 119

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HELP = re.compile(r"```text\n\$ textgen (?P<command>[\w ]*?)--help\n(?P<text>.*?)```", re.DOTALL)
FLAG = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
VARIABLE = re.compile(r"TEXTGEN_\w+")


def blocks(text: str, language: str) -> list[str]:
    return [content for name, content in BLOCK.findall(text) if name == language]


def spans(text: str) -> list[str]:
    """What stands between backticks, on one line each; code blocks are left out."""
    return [" ".join(span.split("\n")) for span in re.findall(r"`([^`]+)`", BLOCK.sub("", text))]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, the heads of tables included."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def programs(text: str) -> set[str]:
    """Every command of a text: of its shell blocks, and what is typed in others; each without its comment."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    lines += [line[2:] for block in blocks(text, "text") for line in block.splitlines() if line.startswith("$ ")]
    parts = {part for line in lines for part in re.split(r"&&|;|\||>", line.split("  #")[0])}
    return {part.strip().removeprefix(".venv/bin/") for part in parts}


def all_commands(command: click.Command = cli, name: str = "") -> dict[str, click.Command]:
    """Every command by what is typed after `textgen`; the group itself is ""."""
    found = {name: command}
    if isinstance(command, click.Group):
        for child in command.list_commands(click.Context(command)):
            found |= all_commands(command.get_command(click.Context(command), child), f"{name} {child}".strip())
    return found


def command_flags() -> set[str]:
    options = [parameter for command in all_commands().values() for parameter in command.params]
    return {flag for option in options for flag in (*option.opts, *option.secondary_opts)} | {"-h", "--help"}


def benchmark_flags(program: Path) -> set[str]:
    sources = program.read_text() + (program.parent / "contest.py").read_text()
    return set(re.findall(r'add_argument\("(--[\w-]+)"', sources))


def understand(line: str) -> None:
    """Have click read a command as if it were typed; raises click.UsageError where it cannot."""
    command, context, arguments, name = cli, None, shlex.split(line)[1:], "textgen"
    is_help = arguments[-1:] == ["--help"]
    if is_help:
        arguments.pop()
    while isinstance(command, click.Group) and arguments:
        context = command.make_context(name, list(arguments), parent=context)
        name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
    if not is_help and not isinstance(command, click.Group):
        command.make_context(name, list(arguments), parent=context)


# ---- the form of the pages


def test_the_readme_stays_short():
    assert len(README.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("page", TEXTS)
def test_lines_end_before_column_120(page):
    assert [line for line in TEXTS[page].splitlines() if len(line) > MAX_COLUMNS] == []


@pytest.mark.parametrize("page", TEXTS)
def test_no_block_of_code_swallows_a_heading(page):
    swallowed = [re.search(r"^(##+ \w|```).*$", content, re.MULTILINE) for _, content in BLOCK.findall(TEXTS[page])]
    assert [found[0] for found in swallowed if found] == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert file.resolve().is_file(), target
        headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if anchor else []
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, target


def test_the_readme_links_every_other_page():
    linked = {
        (README.parent / target.partition("#")[0]).resolve()
        for target in re.findall(r"\]\((\w[^)]*)\)", TEXTS["README.md"])
    }
    assert {page for page in PAGES if page.name == "README.md"} - {README} <= linked


# ---- commands and flags


@pytest.mark.parametrize("page", TEXTS)
def test_the_commands_shown_are_understood(page):
    for line in sorted(programs(TEXTS[page])):
        if line.startswith("textgen "):
            understand(line)
        elif program := re.match(r"python (tests/\S+)(.*)", line):
            path = REPOSITORY / program[1]
            assert path.is_file(), line
            assert set(FLAG.findall(program[2])) <= benchmark_flags(path) if program[2] else True, line


@pytest.mark.parametrize("page", TEXTS)
def test_the_commands_in_the_prose_are_understood(page):
    for span in spans(TEXTS[page]):
        if span.startswith("textgen "):
            with contextlib.suppress(click.MissingParameter):  # `textgen sample` is the command's name
                understand(span)


@pytest.mark.parametrize("page", TEXTS)
def test_the_flags_in_the_prose_are_flags_of_a_command(page):
    known = command_flags().union(*map(benchmark_flags, (REPOSITORY / "tests" / "benchmarks").glob("*.py")))
    flags = {flag for span in spans(TEXTS[page]) if span.startswith("-") for flag in FLAG.findall(span)}
    assert flags - known == set()


@pytest.mark.parametrize("page", TEXTS)
def test_the_environment_variables_are_read_by_the_code(page):
    code = "".join(file.read_text() for room in ("textgen", "tests") for file in (REPOSITORY / room).rglob("*.py"))
    read = set(VARIABLE.findall(code)) | {f"TEXTGEN_SOAK_{name}" for name in re.findall(r'"(KILLS|SEED)"', code)}
    assert set(VARIABLE.findall(TEXTS[page])) - read == set()


def test_the_two_commands_are_the_ones_that_are_run_before_a_release():
    lines = [line for line in README.read_text().splitlines() if line.startswith("python3 -m venv ")]
    assert ["textgen train --minutes 1" in line for line in lines] == [True, False]
    assert ["pytest" in line for line in lines] == [False, True]


# ---- help texts


def help_of(arguments: str) -> str:
    """What `textgen ARGUMENTS --help` prints, 100 columns wide.

    In a process of its own: click remembers the help option of a command that was first called without its group.
    """
    script = "import sys; from textgen.cli import cli; cli.main(sys.argv[1:], 'textgen', terminal_width=100)"
    command = [sys.executable, "-c", script, *arguments.split(), "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def with_fresh_help(page: str) -> str:
    return HELP.sub(lambda m: f"```text\n$ textgen {m['command']}--help\n{help_of(m['command'])}```", page)


def test_help_texts_are_those_of_the_commands():
    page = CLI.read_text()
    assert with_fresh_help(page) == page, "run: python tests/test_readme.py"


def test_every_command_and_subcommand_has_its_help():
    shown = [match["command"].strip() for match in HELP.finditer(CLI.read_text())]
    assert sorted(shown) == sorted(all_commands())
    assert set(COMMANDS) <= set(shown)


# ---- Python


def keywords_of(block: str, function_name: str) -> set[str]:
    """The keywords of every call of a method or function of that name, those in comments after it included."""
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    calls = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == function_name]
    comments = [line.partition("#")[2] for line in block.splitlines() if f".{function_name}(" in line]
    return {k.arg for call in calls for k in call.keywords} | set(re.findall(r"(\w+)=\"", "".join(comments)))


def accepted(function, *settings: type) -> set[str]:
    return {*inspect.signature(function).parameters, *(f.name for kind in settings for f in dataclasses.fields(kind))}


def test_the_python_of_the_readme_names_what_there_is():
    (block,) = blocks(README.read_text(), "python")
    settings = TextConfig, TrainingConfig, ModelConfig
    assert {"minutes", "level"} <= keywords_of(block, "train") <= accepted(api.train, *settings)
    assert keywords_of(block, "load") <= accepted(api.load)
    assert keywords_of(block, "export") <= accepted(api.Model.export)
    for name in ("generate", "stream", "samples"):
        assert keywords_of(block, name) <= accepted(getattr(api.Model, name), SamplingConfig), name


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    model = make_stored_model(symbols="".join(sorted(ALPHABET + "I")))
    path = write_stored_model(tmp_path / "saved_models", model, "novel")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TEXTGEN_MODELS_DIR", raising=False)
    exported = []
    monkeypatch.setattr(api, "train", lambda *_sources, **_settings: textgen.load(path))
    monkeypatch.setattr(api.Model, "export", lambda _model, output_dir: exported.append(output_dir))
    (block,) = blocks(README.read_text(), "python")
    exec(compile(block, "README.md", "exec"), {})
    assert len(capsys.readouterr().out) > 300
    assert exported == ["novel-savedmodel"]


def test_the_call_of_an_export_gives_every_setting_by_its_name():
    (block,) = blocks(CLI.read_text(), "python")
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call) and len(node.keywords) > 2]
    (names,) = [[keyword.arg for keyword in call.keywords] for call in calls]
    assert names[0] == "prompt"
    assert set(names[1:]) <= {field.name for field in dataclasses.fields(SamplingConfig)}


# ---- what the pages say of the code


def test_the_picture_of_the_flow_names_rooms_of_the_map():
    rooms = re.findall(r"^    (\w+)/?  +\S", textgen.__doc__, re.MULTILINE)
    (picture,) = [block for block in blocks(README.read_text(), "text") if "▼" in block]
    named = re.findall(r"^(?:   [│└]──? |   │  )?([a-z_]+)  ", picture, re.MULTILINE)
    assert len(named) >= 8
    assert set(named) - set(rooms) == set()


def test_the_page_on_models_names_every_file_key_and_tensor():
    named = set(spans(MODELS.read_text()))
    assert {*model_directory.MODEL_FILES, *model_directory.CHECKPOINT_FILES, manifest.MANIFEST} <= named
    record = make_stored_model().record.to_json()
    assert {
        f'"{key}"'
        for key in (*record, *make_word_tokenizer().to_json(), "parent", "notice", "licence", "text", "works", "format")
    } <= named
    shapes = [ModelConfig(num_layers=1, units=64, tied=tied) for tied in (False, True)]
    assert {name for config in shapes for name in model_directory.weight_shapes(config)} <= named
    format_line = f'has the key `"format"`, which is {json.dumps(strict_json.FORMAT)};'
    assert format_line in MODELS.read_text()


def test_the_page_on_corpora_has_the_catalogue():
    table = {cells[0]: cells[1:4] for cells in rows(CORPORA.read_text())}
    for entry in CATALOGUE:
        language, num_bytes, licence = table.pop(f"`{entry.name}`")
        assert (language, licence) == (entry.language, entry.license)
        assert entry.download is None or num_bytes == f"{entry.download.bytes:,}"
    assert set(table) == {"name"}


# ---- what the page on tests says of them


def test_every_test_named_beside_a_promise_is_there_and_has_the_figures():
    table = [cells for cells in rows(TESTS.read_text()) if "test_" in cells[1]]
    assert len(table) >= 20
    for _, name, figure in table:
        source = (TESTS.parent / name.strip("`")).read_text()
        numbers = {number.replace("_", "") for number in re.findall(r"\b\d[\d_]*", source)}
        stated = {number.replace(",", "") for number in re.findall(r"\b\d[\d,]*\b", figure)}
        assert stated <= numbers, (name, figure)


def test_every_test_with_a_marker_is_on_the_page_with_it():
    stated = {
        (cells[0].strip("`"), cells[1].strip("`")) for cells in rows(TESTS.read_text()) if cells[0].startswith("`")
    }
    found = {
        (found["marker"] or "slow", file.name)
        for file in TESTS.parent.glob("test_*.py")
        for found in re.finditer(r"mark\.(?P<marker>slow|soak)\b|(?<![\w\"'.])slow[(,]", file.read_text())
    }
    assert stated == found


if __name__ == "__main__":
    CLI.write_text(with_fresh_help(CLI.read_text()))
