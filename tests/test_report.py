"""`textgen report`: how a model learned, in the terminal, as JSON and as a page; whole files and damaged ones."""

import json
import math
import os
import re
from pathlib import Path

import pytest
from browser import needs_chromium
from conftest import make_stored_model, make_word_tokenizer, write_stored_model
from damaging import reseal, write_full_model, write_run
from test_pages import Elements
from test_svg import drawn_points

from textgen.cli import main
from textgen.errors import ModelError
from textgen.records import Evaluated
from textgen.report.curve import Curve, drawn
from textgen.report.history import read_run
from textgen.report.page import chosen_samples, report_page
from textgen.store import model_directory

ROWS = [
    Evaluated(
        step=100 * i,
        epoch=0.5 * i,
        learning_rate=0.006 * math.sin(math.pi * i / 13),
        train_loss=1.1 + 2.2 / i,
        validation_loss=1.3 + 2.0 / i + 0.02 * max(0, i - 9),
        bits_per_character=(1.3 + 2.0 / i + 0.02 * max(0, i - 9)) / math.log(2),
        tokens_per_second=20_000.0 + 10 * i,
        seconds=7.5 * i,
        sample=f"\nO rose,\n  thou art {i}",
    )
    for i in range(1, 13)
]
BEST = min(ROWS, key=lambda row: row.validation_loss)


def line_of(row: Evaluated) -> bytes:
    return json.dumps(row.to_json(), ensure_ascii=False).encode() + b"\n"


def write_model(models_dir: Path, name: str = "tiny", rows=ROWS, **results) -> Path:
    stored = make_stored_model()
    results = {"validation_bits_per_character": 2.25, "longest_copy": 7, "longest_copy_text": "the cat"} | results
    record = stored.record.__class__(**vars(stored.record) | {"results": stored.record.results.replace(**results)})
    path = write_stored_model(models_dir, stored._replace(record=record), name)
    (path / model_directory.METRICS).write_bytes(b"".join(map(line_of, rows)))
    reseal(path)
    return path


@pytest.fixture
def report(tmp_path, capsys):
    """Status, standard output and error of `textgen report` for models in `tmp_path`."""

    def run_main(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["report", *arguments, "--models-dir", str(tmp_path)])
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run_main


# ---- what is read


def test_a_finished_model_a_stopped_run_and_one_that_goes_on_are_told_apart(tmp_path, monkeypatch):
    write_model(tmp_path)
    write_run(tmp_path / "run", steps=(10,))
    (tmp_path / "run" / model_directory.METRICS).write_bytes(line_of(ROWS[0]))
    assert (read_run("tiny", tmp_path).state, len(read_run("tiny", tmp_path).rows)) == ("finished", 12)
    assert (read_run("run", tmp_path).state, len(read_run("run", tmp_path).rows)) == ("stopped", 1)
    monkeypatch.setattr("textgen.report.history.is_running", lambda path: path == tmp_path / "run")
    assert read_run("run", tmp_path).state == "running"


def test_a_run_without_the_file_is_told_by_its_checkpoint(tmp_path):
    write_run(tmp_path / "run", steps=(10,))
    assert [row.step for row in read_run("run", tmp_path).rows] == [1, 2]


WHOLE = line_of(ROWS[0])
DAMAGED = {
    "half a last line": (WHOLE + line_of(ROWS[1])[:-20], 1, ["the last line of metrics.jsonl is not whole"]),
    "a last line without its end": (WHOLE + line_of(ROWS[1])[:-1], 2, []),
    "a line in the middle": (WHOLE + b'{"step": \n' + WHOLE, 2, ["1 line of metrics.jsonl is damaged"]),
    "a number that is none": (WHOLE + WHOLE.replace(b"3.3", b"NaN", 1), 1, ["1 line of metrics.jsonl is damaged"]),
    "no text": (WHOLE + b"\xff\xfe\0\n" * 3 + WHOLE[:50], 1, ["3 lines of metrics.jsonl are damaged", "the last line"]),
    "something else": (WHOLE + b'[1]\n{"a": 1}\n' + b"[" * 10**5 + b"\n", 1, ["3 lines of metrics.jsonl are damaged"]),
    "blank lines": (b"\n" + WHOLE + b"\n\n", 1, []),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_lines_are_left_out_and_said(tmp_path, report, name):
    content, number, notes = DAMAGED[name]
    (write_model(tmp_path) / model_directory.METRICS).write_bytes(content)  # the manifest does not agree
    run = read_run("tiny", tmp_path)
    assert len(run.rows) == number
    assert [note.startswith(start) for note, start in zip(run.notes, notes, strict=True)] == [True] * len(notes)
    status, _, err = report("tiny")
    assert (status, len(err.splitlines())) == (0, len(notes))
    assert all(start in err for start in notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(b""), "has no evaluation to report: nothing was evaluated yet"),
        (lambda path: path.write_bytes(b"{}\n"), "has no evaluation to report: 1 line of metrics.jsonl is damaged"),
        (lambda path: path.unlink(), "metrics.jsonl is missing"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "metrics.jsonl is not a plain file"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "metrics.jsonl is a link"),
        (lambda path: path.write_bytes(b"\n" * 200_000), "metrics.jsonl is too long"),
        (lambda path: (path.parent / "config.json").write_text("{}"), "config.json is not of format 3"),
    ],
)
def test_what_cannot_be_reported_is_one_line(tmp_path, report, change, said):
    change(write_model(tmp_path) / model_directory.METRICS)
    status, out, err = report("tiny")
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["tyni"], 1, "no model 'tyni' in {}. Did you mean tiny?"),
        (["tiny", "--html", "{}/none/page.html"], 1, "cannot write {}/none/page.html: No such file or directory"),
        (["tiny", "--html", "{}"], 1, "cannot write {}: Is a directory"),
        (["tiny", "--html", "a\0b"], 1, "cannot write "),
        (["tiny", "--html", "page.html", "--json"], 2, "give one of --html and --json"),
        (["tiny"] * 21, 2, "20 models can be compared at most"),
        ([], 2, "Missing argument 'MODEL...'"),
    ],
)
def test_bad_arguments_are_one_line_and_write_nothing(tmp_path, report, arguments, status, said):
    write_model(tmp_path)
    found, out, err = report(*(argument.format(tmp_path) for argument in arguments))
    assert (found, out) == (status, "")
    assert said.format(tmp_path) in err.splitlines()[-1]
    assert os.listdir(tmp_path) == ["tiny"]


# ---- in the terminal


def test_the_curves_are_plain_characters_and_fit_every_terminal(tmp_path, report, monkeypatch):
    write_model(tmp_path)
    for width in (30, 40, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        status, out, err = report("tiny")
        assert (status, err, out.isascii()) == (0, "", True)
        plot = [line for line in out.splitlines() if "|" in line or "+--" in line]
        assert len(plot) == 13
        assert max(map(len, plot)) <= width
    assert "how well it predicts: 2.25 bits per character, lower is better" in out
    assert f"the best step is {BEST.step:,}" in out
    assert "  *  validation: 3.300 to 1.527\n" in out


def test_a_curve_passes_its_points():
    lines = list(drawn([Curve("*", "a", [(0.0, 3.0), (50.0, 2.0), (100.0, 1.0)])], 60, "steps"))
    plot = [line.partition("|")[2] for line in lines[:12]]
    assert plot[0][0] == plot[11][-1] == "*"
    assert [line.index("*") for line in plot] == sorted(line.index("*") for line in plot)
    assert sum(line.count("*") for line in plot) == len(plot[11])
    assert [lines[0].split()[0], lines[11].split()[0]] == ["3.000", "1.000"]
    assert lines[13].split() == ["0", "100", "steps"]


@pytest.mark.parametrize("points", [[(1.0, 2.0)], [(1.0, 2.0), (1.0, 2.0)], [(0.0, 1e300), (1.0, -1e300)]])
def test_a_single_point_or_a_huge_one_is_drawn_too(points):
    assert sum("*" in line for line in drawn([Curve("*", "a", points)], 40, "steps")) >= 1


def test_several_models_are_compared_by_bits_per_character_and_minutes(tmp_path, report):
    write_model(tmp_path, "alpha")
    write_model(tmp_path, "beta", ROWS[:5], validation_bits_per_character=2.5)
    write_full_model(tmp_path, name="gamma")  # it was not validated
    status, out, _ = report("alpha", "beta", "gamma", "alpha")
    assert status == 0
    assert "bits per character\n" in out
    assert re.search(r"  a  alpha: 4.761 to 2.203\n  b  beta: 4.761 to 2.453\n$", out)
    assert " 1.5 minutes\n" in out


def test_json_has_every_evaluation(tmp_path, report):
    write_model(tmp_path)
    (document,) = json.loads(report("tiny", "--json")[1])
    assert (document["name"], document["state"], document["best_step"]) == ("tiny", "finished", BEST.step)
    assert [Evaluated.from_json(row) for row in document["evaluations"]] == ROWS


# ---- the page


HOSTILE = "<img src=x onerror=alert(1)>&\"'</script>"


def test_the_page_draws_what_is_in_the_file_and_shows_how_the_writing_changed(tmp_path, report):
    write_model(tmp_path)
    status, out, err = report("tiny", "--html", str(tmp_path / "page.html"))
    assert (status, out) == (0, "")
    assert "open it in a browser" in err
    made = (tmp_path / "page.html").read_text()
    figures = dict(re.findall(r'<figure class="chart"><h3>(.*?)</h3>(.*?)</figure>', made, re.DOTALL))
    places = {
        "Loss by step": (0, [(row.step, row.validation_loss) for row in ROWS]),
        "Loss by minute": (0, [(row.seconds / 60, row.validation_loss) for row in ROWS]),
        "Learning rate by step": (0, [(row.step, row.learning_rate) for row in ROWS]),
    }
    assert [*figures] == [*places, "Tokens per second by step"]
    for title, (colour, points) in places.items():
        found = drawn_points(figures[title], colour)
        assert len(found) == len(points) >= 10
        for (x, y), (drawn_x, drawn_y) in zip(points, found, strict=True):
            assert drawn_x == pytest.approx(x, rel=0.005, abs=0.005), title
            assert drawn_y == pytest.approx(y, rel=0.01, abs=1e-5), title
    training = [(row.step, pytest.approx(row.train_loss, rel=0.01)) for row in ROWS]
    assert [(round(x / 100) * 100, y) for x, y in drawn_points(figures["Loss by step"], 1)] == training
    assert made.count("O rose,\n  thou art ") == 7
    assert f'the best</figcaption><div class="text">O rose,\n  thou art {BEST.step // 100}</div>' in made
    for said in ("2.250", "the cat", "All 12 evaluations", "training: dropout", "corpus: name"):
        assert said in made


def test_names_and_texts_are_escaped(tmp_path):
    row = ROWS[0].replace(sample=HOSTILE + "\x1b\u202e")
    run = read_run(str(write_model(tmp_path, rows=[row], longest_copy_text=HOSTILE)), tmp_path)
    corpus = run.record.corpus.replace(name=HOSTILE, sources=(HOSTILE,))
    record = run.record.__class__(**vars(run.record) | {"corpus": corpus})
    hostile = run._replace(name=HOSTILE, record=record, notes=(HOSTILE,))
    for runs in ([hostile], [hostile, run, hostile]):
        made = report_page(runs)
        tags = {tag for tag, _ in Elements(made).found}
        assert not tags & {"img", "script"}
        assert HOSTILE not in made
        assert not {"\x1b", "\u202e"} & set(made)


def test_a_page_of_several_runs_says_what_is_different_and_draws_them_together(tmp_path):
    write_model(tmp_path, "alpha")
    words = make_stored_model(tokenizer=make_word_tokenizer("\n"), units=24)
    (write_stored_model(tmp_path, words, "beta") / model_directory.METRICS).write_bytes(b"".join(map(line_of, ROWS)))
    made = report_page([read_run(name, tmp_path) for name in ("alpha", "beta")])
    assert "<td>model: units</td><td>12</td><td>24</td>" in made
    assert "model: cell" not in made.partition("<h2>Curves")[0]
    assert made.count('class="line series-1') >= 2
    assert "alpha, validation" in made
    assert "cannot be compared" in made
    same = read_run("alpha", tmp_path)
    assert "All their settings are the same." in report_page([same, same])


def test_a_long_run_has_a_bounded_page_and_few_samples(tmp_path):
    rows = [ROWS[0].replace(step=i, sample="x" * 200) for i in range(1, 2001)]
    rows[1233] = rows[1233].replace(validation_loss=0.5)
    run = read_run("tiny", write_model(tmp_path, rows=rows).parent)
    assert len(report_page([run])) < 400_000
    steps = [row.step for row in chosen_samples(run, 8)]
    assert (len(steps), steps[0], steps[-1], 1234 in steps) == (8, 1, 2000, True)


# What a cell says, and on how many lines.
LINES = (
    "(cell) => { const range = document.createRange(); range.selectNodeContents(cell); "
    "return [cell.textContent, new Set([...range.getClientRects()].map((box) => box.top)).size]; }"
)


@needs_chromium
def test_the_page_opens_without_an_error_fits_a_phone_and_is_used_with_keys(chromium, tmp_path):
    page = tmp_path / "page.html"
    write_model(tmp_path)
    write_model(tmp_path, "a-model-with-a-rather-long-name-as-people-have-them", ROWS[:6])
    runs = [read_run(name, tmp_path) for name in sorted(os.listdir(tmp_path))]
    page.write_text(report_page(runs), encoding="utf-8")
    for width in (1280, 390):
        chromium.open(page, width=width, dark=width == 390)
        chromium.settle()
        assert chromium.evaluate("document.documentElement.scrollWidth") <= width
        cells = chromium.evaluate(f"[...document.querySelectorAll('td.number')].map({LINES})")
        assert max(lines for _, lines in cells) == 1, cells
        size = chromium.evaluate(
            "(() => { const t = document.querySelector('.tick'); return t.getBoundingClientRect().height })()"
        )
        assert size >= 9
    chromium.evaluate("document.querySelector('summary').focus()")
    chromium.press("Enter")
    assert chromium.evaluate("document.querySelector('details').open")
    drawn = chromium.evaluate(
        "[...document.querySelector('.chart').querySelectorAll('circle.series-1')].slice(0, 12).map((c) => {"
        " const b = c.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })"
    )
    grid = chromium.evaluate(
        "[...document.querySelector('.chart').querySelectorAll('.grid')].map(g => g.getBoundingClientRect().y)"
    )
    marks = chromium.evaluate(
        "[...document.querySelector('.chart').querySelectorAll('.tick.y')].map(t => Number(t.textContent))"
    )
    scale = (marks[-1] - marks[0]) / (grid[-1] - grid[0])
    found = [marks[0] + (y - grid[0]) * scale for _, y in drawn]
    assert found == pytest.approx([row.validation_loss for row in ROWS], abs=0.02)
    assert chromium.problems == []


def test_a_path_names_a_run_too(tmp_path):
    path = write_model(tmp_path / "one")
    assert read_run(str(path), tmp_path / "two").name == "tiny"
    with pytest.raises(ModelError, match="no model"):
        read_run("tiny", tmp_path / "two")
