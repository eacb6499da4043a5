"""The house: which room may import which, how long a file may be, and what must never be imported at start-up."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import textgen
from textgen.records import Evaluated

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "textgen"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 300

# The map in the package's docstring is the law: a room's name, and below it the rooms that may import it.
ROOMS = re.findall(r"^    (\w+)/?  +\S", textgen.__doc__, re.MULTILINE)
TOP_LEVEL = {"textgen", "corpora", "saved_models", "tests", "setup.cfg", "pyproject.toml", "README.md"}
TENSORFLOW = {"tensorflow", "tensorflow_text", "keras"}
MAY_IMPORT_TENSORFLOW = re.compile(
    r"model/.*|lesson/.*|evaluation/dynamic\.py|workers/communicator\.py|training/(step|touched_rows|shared_step|validation|tensorboard)\.py|export\b.*|.*/graph\w*\.py|tensorflow_runtime\.py|cli/doctor\.py"
)


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(file: Path) -> set[str]:
    """Full names of the modules and objects that `file` imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def imported_rooms(file: Path) -> set[str]:
    parts = [name.split(".") for name in imported_modules(file) if name.startswith("textgen.")]
    return {part[1] for part in parts} - {room_of(file)}


def test_the_map_names_every_room():
    assert set(ROOMS) == {room_of(f) for f in FILES} - {"__init__", "__main__"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_a_file_imports_from_the_rooms_above_it_only(file):
    if room_of(file) in ("__init__", "__main__"):
        return
    above = ROOMS[: ROOMS.index(room_of(file))]
    assert imported_rooms(file) <= set(above)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_only_the_rooms_that_compute_with_tensorflow_import_it(file):
    roots = {name.split(".")[0] for name in imported_modules(file)}
    if roots & TENSORFLOW:
        assert MAY_IMPORT_TENSORFLOW.fullmatch(str(file.relative_to(PACKAGE)))


def test_only_the_command_line_knows_click():
    users = {room_of(f) for f in FILES if any(n.split(".")[0] == "click" for n in imported_modules(f))}
    assert users == {"cli"}


def test_what_is_printed_passes_where_it_becomes_harmless():
    printing = re.compile(r"click\.s?echo\(|\bprint\(|sys\.std(out|err)\.write|Console\(")
    printers = {str(f.relative_to(PACKAGE)) for f in FILES if printing.search(f.read_text().partition('"""\n\n')[2])}
    assert printers == {"streams.py", "training/terminal.py", "cli/bars.py", "repl/terminal.py"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_files_stay_short(file):
    assert len(file.read_text().splitlines()) <= MAX_LINES


def test_the_top_level_holds_only_what_belongs_there():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


@pytest.mark.parametrize("arguments", [["format", "--check"], ["check"]], ids=" ".join)
def test_ruff_has_nothing_to_say(arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


WITHOUT_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "tensorflow_text"):
    sys.modules[name] = None  # importing it raises ImportError
from textgen.cli import main
main(sys.argv[1:])
"""


def run_without_tensorflow(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["models"],
        ["info", "tiny"],
        ["verify", "tiny"],
        ["report", "tiny"],
        ["sample", "tiny", "-n", "20"],
        ["repl", "tiny", "-n", "20"],
        ["evaluate", "tiny", str(REPOSITORY / "setup.cfg")],
        ["evaluate", "tiny", str(REPOSITORY / "setup.cfg"), "--cache"],
        ["score", "tiny", str(REPOSITORY / "setup.cfg")],
        ["gates", "tiny", "--file", str(REPOSITORY / "setup.cfg")],
        ["inspect", str(REPOSITORY / "setup.cfg")],
        ["corpora", "list"],
    ],
    ids=lambda arguments: " ".join(Path(argument).name for argument in arguments),
)
def test_these_commands_never_import_tensorflow(arguments, models_dir, monkeypatch):
    monkeypatch.setenv("TEXTGEN_MODELS_DIR", str(models_dir))
    if arguments[0] == "report":
        row = Evaluated(step=1, epoch=1.0, train_loss=2.0, validation_loss=2.0, learning_rate=0.1)
        (models_dir / "tiny" / "metrics.jsonl").write_text(json.dumps(row.to_json()) + "\n")
    done = run_without_tensorflow(*arguments, stdin="a\n/exit\n")
    assert (done.returncode, done.stdout != "") == (0, True), done.stderr


def test_a_page_that_writes_is_made_without_tensorflow(models_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTGEN_MODELS_DIR", str(models_dir))
    monkeypatch.setenv("PATH", "")  # Node checks it in its own test
    done = run_without_tensorflow("export", "tiny", "--format", "html", "--output", str(tmp_path / "tiny.html"))
    assert (done.returncode, (tmp_path / "tiny.html").is_file()) == (0, True), done.stderr


def test_a_bad_corpus_is_refused_before_tensorflow_is_imported(tmp_path):
    done = run_without_tensorflow("train", str(tmp_path / "missing.txt"))
    assert done.returncode == 1
    assert "missing.txt" in done.stderr


def test_help_imports_neither_numpy_nor_rich_nor_what_it_does_not_use():
    """Nor modules of Python's own that few commands need: a millisecond each, twenty at the worst."""
    names = "'numpy', 'rich', 'hashlib', 'difflib', 'unicodedata', 'select', 'charset_normalizer'"
    script = f"import sys; sys.modules.update(dict.fromkeys([{names}])); from textgen.cli import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_mypy_has_nothing_to_say():
    """Strictly, so that a public function without types fails; see [tool.mypy] in pyproject.toml."""
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--cache-dir", "/dev/null"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
