"""The page of `textgen report`: how a model learned, or how several did, beside each other."""

from collections.abc import Callable, Iterable, Sequence

from textgen.messages import clock, counted, in_words, visible
from textgen.pages.svg import Axis, Series, line_chart
from textgen.pages.template import asset, escape, page
from textgen.records import Evaluated
from textgen.report.history import Run
from textgen.schema import readable

MOST_SAMPLES, MOST_OF_SEVERAL = 8, 3  # of a run, alone and among others
MOST_ROWS = 300  # of a table of evaluations
GROUPS = ("corpus", "model", "training", "text", "results")
LEFT_OUT = ("sha256", "sketch", "longest_copy", "longest_copy_text", "longest_copy_among")  # long, or said elsewhere


def number(value: float) -> str:
    """A number on an axis: whole ones in full, others with four digits."""
    if abs(value) >= 1000 or abs(value - round(value)) < 1e-9:
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3g}"
    return f"{value:.4g}"


STEPS, MINUTES = Axis("steps", number), Axis("minutes", number)


def report_page(runs: Sequence[Run]) -> str:
    """The page, as HTML; several runs share its charts."""
    names = [run.name for run in runs]
    title = f"How {_listed(names)} learned"
    body = [f"<h1>{escape(title)}</h1>"]
    if len(runs) == 1:
        body += [f'<p class="lead">{escape(_state(runs[0]))}</p>', _facts(runs[0])]
    else:
        body += [_comparison(runs), _differences(runs)]
    body += [f'<p class="muted small">{escape(f"{run.name}: {note}.")}</p>' for run in runs for note in run.notes]
    body += ['<h2>Curves</h2>\n<div class="charts">', *charts_of(runs), "</div>"]
    for run in runs:
        body += _about(run, is_alone=len(runs) == 1)
    unit = " or ".join(dict.fromkeys(run.unit for run in runs))
    apart = (
        " Those of characters and of tokens cannot be compared, but bits per character can." if " or " in unit else ""
    )
    body.append(f"<footer>Losses are nats per {unit}. Lower is better.{apart}</footer>")
    return page(title, "\n".join(body), style=asset("chart.css") + asset("report.css"))


def charts_of(runs: Sequence[Run]) -> list[str]:
    """The figures with the curves of all runs."""
    loss = Axis("", number)
    several = len(runs) > 1
    bits = [line for index, run in enumerate(runs) for line in _lines(run, index, several, minutes, bits_of)]
    found = [
        line_chart(f"Loss by {what}", _losses(runs, place), axis, loss)
        for what, place, axis in (("step", step_of, STEPS), ("minute", minutes, MINUTES))
    ]
    if several and bits:
        found.append(line_chart("Bits per character by minute", bits, MINUTES, loss))
    for title, value in (("Learning rate", lambda row: row.learning_rate), ("Tokens per second", speed_of)):
        lines = [line for index, run in enumerate(runs) for line in _lines(run, index, several, step_of, value)]
        found.append(line_chart(f"{title} by step", lines, STEPS, loss))
    return found


Value = Callable[[Evaluated], float | None]


def step_of(row: Evaluated) -> float:
    """The step of an evaluation."""
    return float(row.step)


def minutes(row: Evaluated) -> float:
    """The minutes of the run so far."""
    return row.seconds / 60


def bits_of(row: Evaluated) -> float | None:
    """Bits per character on the validation part."""
    return row.bits_per_character


def speed_of(row: Evaluated) -> float | None:
    """Tokens per second."""
    return row.tokens_per_second


def _losses(runs: Sequence[Run], place: Value) -> list[Series]:
    found = []
    for index, run in enumerate(runs):
        before = f"{run.name}, " if len(runs) > 1 else ""
        best = place(run.best) if run.best else None
        validation = _points(run.rows, place, lambda row: row.validation_loss)
        found.append(Series(f"{before}validation", validation, index, marked=best))
        training = _points(run.rows, place, lambda row: row.train_loss)
        found.append(Series(f"{before}training", training, index if before else 1, is_dashed=True))
    return found


def _lines(run: Run, index: int, several: bool, place: Value, value: Value) -> list[Series]:
    points = _points(run.rows, place, value)
    return [Series(run.name if several else "", points, index)] if points else []


def _points(rows: Iterable[Evaluated], place: Value, value: Value) -> list[tuple[float, float]]:
    found = [(place(row), value(row)) for row in rows]
    return [(x, y) for x, y in found if x is not None and y is not None]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _state(run: Run) -> str:
    last, total = run.rows[-1], run.record.results.total_steps
    went = f"{counted(last.step, 'step')}, {last.epoch:.1f} passes over the text in {clock(last.seconds)}"
    state = {
        "finished": "",
        "running": f". It goes on, to step {total:,}",
        "stopped": f". It was stopped, of {total:,}",
    }
    means = f"{in_words(run.bits).capitalize()}. " if run.bits is not None else ""
    return f"{means}{went}{state[run.state]}."


def _facts(run: Run) -> str:
    corpus = run.record.corpus
    facts = [("model of", {"char": "characters", "word": "words"}[run.record.text.level])]
    facts += [("bits per character", f"{run.bits:.3f}")] if run.bits is not None else []
    facts += [("best at step", f"{run.best.step:,}")] if run.best else []
    facts += [
        ("parameters", f"{run.record.results.parameters:,}"),
        ("tokens per second", f"{run.rows[-1].tokens_per_second:,.0f}"),
        ("time", clock(run.rows[-1].seconds)),
        ("characters of text", f"{corpus.characters:,}"),
    ]
    facts += [("documents", f"{corpus.documents:,}")] if corpus.documents else []
    return f'<dl class="facts">{"".join(f"<div><dt>{n}</dt><dd>{escape(v)}</dd></div>" for n, v in facts)}</dl>'


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, texts: int = 1) -> str:
    """A table; all columns but the first `texts` are of numbers."""

    def line(tag: str, cells: Sequence[object], more: str = "") -> str:
        kinds = ("" if index < texts else ' class="number"' for index in range(len(cells)))
        return "".join(f"<{tag}{more}{kind}>{escape(c)}</{tag}>" for c, kind in zip(cells, kinds, strict=True))

    head = line("th", headings, ' scope="col"')
    body = "".join(f"<tr>{line('td', cells)}</tr>" for cells in rows)
    return (
        f'<div class="scrolled" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _comparison(runs: Sequence[Run]) -> str:
    rows = []
    for run in sorted(runs, key=lambda run: float("inf") if run.bits is None else run.bits):
        bits, last = run.bits, run.rows[-1]
        rows.append(
            (
                run.name,
                run.state,
                "-" if bits is None else f"{bits:.3f}",
                f"{run.best.step:,}" if run.best else "-",
                clock(last.seconds),
                f"{last.tokens_per_second:,.0f}",
                f"{run.record.results.parameters:,}",
            )
        )
    headings = ("model", "state", "bits per character", "best step", "time", "tokens per second", "parameters")
    return table(headings, rows, texts=2)


def _differences(runs: Sequence[Run]) -> str:
    """The settings in which the runs differ."""
    settings = [_settings(run, ("corpus", "model", "training", "text")) for run in runs]
    names = [name for name in dict.fromkeys(name for one in settings for name in one)]
    rows = [(name, *(one.get(name, "-") for one in settings)) for name in names]
    rows = [row for row in rows if len(set(row[1:])) > 1]
    if not rows:
        return "<p>All their settings are the same.</p>"
    return f"<h2>What is different</h2>\n{table(['setting', *(run.name for run in runs)], rows, texts=1 + len(runs))}"


def _settings(run: Run, groups: Sequence[str]) -> dict[str, str]:
    parts = {group: readable(getattr(run.record, group)) for group in groups}
    return {f"{group}: {n}": v for group, part in parts.items() for n, v in part.items() if n not in LEFT_OUT}


def _about(run: Run, *, is_alone: bool) -> list[str]:
    """The samples of a run, what it copied, its evaluations and its settings."""
    body = [] if is_alone else [f"<h2>{escape(run.name)}</h2>", f"<p>{escape(_state(run))}</p>"]
    level = 2 if is_alone else 3
    body.append(f"<h{level}>How its writing changed</h{level}>")
    body.append('<div class="samples">')
    for row in chosen_samples(run, MOST_SAMPLES if is_alone else MOST_OF_SEVERAL):
        bits = "" if row.bits_per_character is None else f", {row.bits_per_character:.2f} bits per character"
        best = ", the best" if row is run.best else ""
        body.append(
            f'<figure class="panel"><figcaption>step {row.step:,}, pass {row.epoch:.1f}{bits}{best}</figcaption>'
            f'<div class="text">{escape(visible(row.sample.strip(chr(10))))}</div></figure>'
        )
    body.append("</div>")
    body += [f"<h{level}>What it copied</h{level}>", *_copied(run)] if run.state == "finished" else []
    step = -(-len(run.rows) // MOST_ROWS)
    rows = [row for index, row in enumerate(run.rows) if index % step == 0 or row is run.best or row is run.rows[-1]]
    headings = ("step", "time", "pass", "learning rate", "loss", "validation", "bits", "tokens per second")
    told = f"All {counted(len(run.rows), 'evaluation')}" if len(rows) == len(run.rows) else f"{len(rows)} evaluations"
    told += f" of {len(run.rows):,}" if len(rows) < len(run.rows) else ""
    body.append(f"<details><summary>{told}</summary>{table(headings, map(_cells, rows), texts=0)}</details>")
    settings = _settings(run, GROUPS).items()
    return [*body, f"<details><summary>Settings</summary>{table(('setting', 'value'), settings, texts=2)}</details>"]


def _cells(row: Evaluated) -> tuple[str, ...]:
    loss, bits = row.validation_loss, row.bits_per_character
    return (
        f"{row.step:,}",
        clock(row.seconds),
        f"{row.epoch:.2f}",
        f"{row.learning_rate:.4g}",
        f"{row.train_loss:.4f}",
        "-" if loss is None else f"{loss:.4f}",
        "-" if bits is None else f"{bits:.3f}",
        f"{row.tokens_per_second:,.0f}",
    )


def chosen_samples(run: Run, most: int) -> list[Evaluated]:
    """At most `most` evaluations, 3 or more, at equal distances: the first, the last and the best among them."""
    last = len(run.rows) - 1
    places = {round(index * last / (most - 2)) for index in range(most - 1)} if last else {0}
    return [row for index, row in enumerate(run.rows) if row.sample and (index in places or row is run.best)]


def _copied(run: Run) -> list[str]:
    results, found = run.record.results, []
    if results.longest_copy is None:
        return ["<p>That was not looked at.</p>"]
    among = counted(results.longest_copy_among, "character")
    length = counted(results.longest_copy, "character")
    found.append(f"<p>In {among} that it wrote, the longest run that stands in its text is {length}.</p>")
    if results.longest_copy_text:
        found.append(f'<blockquote class="text">{escape(visible(results.longest_copy_text))}</blockquote>')
    counts = (results.samples_new, results.samples_in_training, results.samples_in_validation)
    if sum(counts):
        new, training, validation = counts
        parts = f"{new} are new, {training} stand in the training part, {validation} in the validation part"
        found.append(f"<p>Of {sum(counts)} documents that it wrote {parts}.</p>")
    return found
