"""The page of `textgen lesson`: the results as a story of forgetting, with curves."""

import math
from collections.abc import Callable, Iterable, Sequence

from textgen.lesson.adding import RIGHT
from textgen.lesson.results import KINDS, Learned, Lesson, Point
from textgen.messages import visible
from textgen.pages.svg import Axis, Series, line_chart
from textgen.pages.template import asset, escape, page
from textgen.report.page import number, table

SMALLEST = 1e-12  # gradients below it are drawn there
COLOURS = {kind: colour for colour, kind in enumerate(("lstm", "transformer", "gru", "rnn"))}


def lesson_page(lesson: Lesson) -> str:
    """The page, as HTML."""
    parts = [_beginning(lesson), _delay(lesson), _text(lesson), _costs(lesson), _tools(lesson), _adding(lesson)]
    styles = asset("chart.css") + asset("report.css") + asset("lesson.css")
    return page("A lesson in forgetting", "\n".join([*parts, _fairness(lesson)]), style=styles)


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{100 * share:.3g} %"


def power(exponent: float) -> str:
    """10 to the `exponent`, for an axis of logarithms."""
    return f"1e{exponent:.0f}" if abs(exponent - round(exponent)) < 1e-9 else f"{10**exponent:.1e}"


def doubled(exponent: float) -> str:
    """2 to the `exponent`, for an axis of logarithms."""
    return f"{2**exponent:,.0f}" if abs(exponent - round(exponent)) < 1e-9 else f"{2**exponent:,.1f}"


SHARE, GRADIENT = Axis("", percent), Axis("", power)
SECONDS, BEFORE = Axis("seconds of training", number), Axis("tokens before", number)


def _lines(results: Iterable[Learned], points: Callable[[Learned], Iterable[Point]]) -> list[Series]:
    """A line for each of the four, of the points that are numbers."""
    found = []
    for one in results:
        drawn = [(x, y) for x, y in points(one) if math.isfinite(x) and math.isfinite(y)]
        found.append(Series(KINDS[one.kind], drawn, COLOURS[one.kind]))
    return found


def accuracy_chart(lesson: Lesson) -> str:
    """How many symbols are remembered, by distance."""
    lines = _lines(lesson.delay, lambda one: list(one.accuracy.items()))
    return line_chart("Symbols remembered", lines, Axis("tokens in between", number), SHARE)


def gradient_chart(title: str, results: Sequence[Learned], values: Callable[[Learned], Sequence[float]]) -> str:
    """How much the loss depends on what was read, by how long ago; logarithms."""

    def points(one: Learned) -> list[Point]:
        return [(k + 1.0, math.log10(max(value, SMALLEST))) for k, value in enumerate(values(one))]

    return line_chart(title, _lines(results, points), BEFORE, GRADIENT)


def loss_chart(lesson: Lesson) -> str:
    """The held-out loss in bits, by seconds of training."""
    lines = _lines(lesson.text, lambda one: [(x, y / math.log(2)) for x, y in one.losses])
    return line_chart("Bits per character, while they train", lines, SECONDS, Axis("", number))


def reading_chart(lesson: Lesson) -> str:
    """Next characters that are guessed, by how many were read before."""
    lines = _lines(lesson.text, lambda one: [(math.log2(n), y) for n, y in one.accuracy.items()])
    return line_chart("Next characters guessed", lines, Axis("characters read, at least", doubled), SHARE)


def cost_chart(lesson: Lesson, title: str, value: Callable[[float, int], float]) -> str:
    """Time or memory of one more character, by how many came before; logarithms of both."""
    lines = []
    for kind, name in KINDS.items():
        costs = [cost for cost in lesson.costs if cost.kind == kind]
        points = [(math.log2(cost.context), math.log10(value(cost.seconds, cost.kept_bytes))) for cost in costs]
        lines.append(Series(name, points, COLOURS[kind]))
    return line_chart(title, lines, Axis("characters before", doubled), Axis("", lambda y: f"{10**y:,.3g}"))


def adding_charts(lesson: Lesson) -> list[str]:
    """The share of right answers and the error, by seconds of training."""
    error = Axis("", number)
    return [
        line_chart("Sums that are right", [Series("LSTM", lesson.adding.right)], SECONDS, SHARE),
        line_chart("Mean squared error", [Series("LSTM", lesson.adding.errors)], SECONDS, error),
    ]


def _charts(*charts: str) -> str:
    return '<div class="charts">' + "\n".join(charts) + "</div>"


def _beginning(lesson: Lesson) -> str:
    return f"""<h1>A lesson in forgetting</h1>
<p class="lead">A network that reads a text symbol by symbol has to decide at each one what to keep. Here are four that
were trained on this machine in {lesson.minutes:g} minutes altogether, each with about as many parameters as the others:
a plain RNN, a GRU, an LSTM, and a small Transformer, which keeps all that it has read.</p>"""


def _delay(lesson: Lesson) -> str:
    chance = lesson.delay[0].accuracy
    longest = max(chance)
    told = ", ".join(f"the {KINDS[one.kind]} {percent(one.accuracy[longest])}" for one in lesson.delay)
    return f"""<h2>Remembering one symbol</h2>
<p>A row begins with one of eight symbols. Then come blanks, up to {lesson.longest} tokens of them, then a mark, and the
symbol is asked for: <code>c.......?c</code>. Guessing is right in 12.5 % of the rows. After {longest} tokens the share
that is right is: {told}. Each had {lesson.seconds_each[0]:.0f} seconds of training.</p>
{_charts(accuracy_chart(lesson))}
<p>Why it is hard: a network learns by asking how its loss would change if something that it read had been different.
The curves show the answer, the norm of the gradient of the loss in the input of so many tokens before. If the curve
falls to nothing, what stood there cannot be learned from. In a plain RNN each step multiplies the gradient by the same
matrix and by the slope of a tanh, so it shrinks or grows with every token. An LSTM adds to its memory cell, and a
forget gate near 1 lets the gradient pass. In a Transformer each token is one step away from every other.</p>
{
        _charts(
            gradient_chart("Gradient before training", lesson.delay, lambda one: one.untrained_gradient),
            gradient_chart("Gradient after training", lesson.delay, lambda one: one.gradient),
        )
    }
<p class="small muted">Norms below 1e-12 are drawn at 1e-12. The rows have the symbol {lesson.longest} tokens before the
answer.</p>"""


def _text(lesson: Lesson) -> str:
    samples = "".join(
        f'<figure class="panel"><figcaption>{KINDS[one.kind]}, {one.loss / math.log(2):.2f} bits per character'
        f'</figcaption><div class="text">{escape(visible(one.sample.strip(chr(10))))}</div></figure>'
        for one in lesson.text
    )
    return f"""<h2>Reading a text</h2>
<p>The same four, larger, read <span class="name">{escape(visible(lesson.text_name))}</span>
({lesson.characters:,} characters, {lesson.symbols:,} different symbols) and predict each next character, for
{lesson.seconds_each[1]:.0f} seconds each. They are tested on the last tenth of it, in windows of {lesson.window}
characters that begin with nothing. Lower is better.</p>
{_charts(loss_chart(lesson), reading_chart(lesson))}
<p>The second chart says how much they gain from having read more: each point stands for so many characters read, up to
twice as many. Where a line is flat, a longer memory is worth nothing in this text.</p>
{_charts(gradient_chart("Gradient after training, in the text", lesson.text, lambda one: one.gradient))}
<div class="samples">{samples}</div>"""


def _costs(lesson: Lesson) -> str:
    rows = [
        (KINDS[cost.kind], f"{cost.context:,}", f"{cost.seconds * 1e6:,.1f}", f"{cost.kept_bytes / 1000:,.1f}")
        for cost in lesson.costs
    ]
    return f"""<h2>What one more character costs</h2>
<p>Recurrent cells keep a state of one size, however long the text. A Transformer keeps keys and values of every
character that it can look back at, and looks at all of them for each new one.</p>
{
        _charts(
            cost_chart(lesson, "Microseconds for a character", lambda seconds, _: seconds * 1e6),
            cost_chart(lesson, "Kilobytes that are kept", lambda _, kept: kept / 1000),
        )
    }
{table(("network", "characters before", "microseconds", "kilobytes kept"), rows)}"""


def _tools(lesson: Lesson) -> str:
    best = min(lesson.text, key=lambda one: one.loss)
    kept = {(cost.kind, cost.context): cost for cost in lesson.costs}
    last = max(cost.context for cost in lesson.costs)
    memory = kept["transformer", last].kept_bytes / kept["lstm", last].kept_bytes
    time = kept["transformer", last].seconds / kept["lstm", last].seconds
    far = max(lesson.delay[0].accuracy)
    remember = [KINDS[one.kind] for one in lesson.delay if one.accuracy[far] > 0.9]
    remembered = ", ".join(remember) or "none of the four in this time"
    return f"""<h2>Where each is the right tool</h2>
<ul>
<li>Small texts, short training, two cores: here the {KINDS[best.kind]} predicted the text best after
{lesson.seconds_each[1]:.0f} seconds, at {best.loss / math.log(2):.2f} bits per character.</li>
<li>One thing to keep for long: more than nine in ten symbols were remembered over {far} tokens by: {remembered}.</li>
<li>Writing without an end, on a small machine: at {last:,} characters the Transformer keeps {memory:,.0f} times as much
as the LSTM, and takes {time:,.1f} times as long for the next one.</li>
<li>Looking things up word for word in a long text, with much data and hardware that does many products at once: that is
what a Transformer is for. It trains on all places of a text at the same time, and nothing that it can still see has to
be squeezed into a state.</li>
<li>A GRU has fewer parts than an LSTM and is often as good. A plain RNN is to learn from.</li>
</ul>"""


def _adding(lesson: Lesson) -> str:
    adding = lesson.adding
    return f"""<h2>Not only text: adding two numbers</h2>
<p>The layer is not made for text. In the adding problem of Hochreiter and Schmidhuber (1997) it reads {adding.length}
pairs of a number and a mark. Two of the numbers are marked, and after the last pair their sum is asked for, as
0.5 + (a + b) / 4. This is all that builds the network, and the lines are the ones that ran:</p>
<pre tabindex="0"><code>{escape(adding.code.strip())}</code></pre>
{_charts(*adding_charts(lesson))}
<p>An answer is right if it is less than {RIGHT} off; in the end {percent(adding.right[-1][1])} are. Always guessing
the mean has an error of {adding.blind_error:.3f}. The network has {adding.parameters:,} parameters.</p>"""


def _fairness(lesson: Lesson) -> str:
    rows = []
    for name, results in (("delay task", lesson.delay), ("text", lesson.text)):
        for one in results:
            tried = ", ".join(f"{peak:g}: {loss:.3f}" for peak, loss in one.tried.items())
            cells = (f"{one.parameters:,}", f"{one.tokens:,}", f"{one.rate:g}", f"{one.loss:.3f}")
            rows.append((name, KINDS[one.kind], tried, *cells))
    heads = ("task", "network", "rates tried, loss", "parameters", "tokens read", "rate", "loss")
    return f"""<h2>How it was made fair</h2>
<p>All train by the same step: AdamW without decay, a gradient that is clipped at norm 1, batches of the same size, a
learning rate that rises to a peak and falls to almost nothing. Each tried three peaks, for a tenth of its seconds each,
from the same weights; the one with the least loss on held-out text got the remaining seven tenths. Time that was spent
on compiling and on measuring is not counted. The Transformer is the usual one of today: normalisation before each part,
rotary positions, a feed-forward part about four times as wide. Recurrent cells carry their state from window to window
while they train. On a machine that is busy with other work, seconds are worth less, and not to all alike.</p>
{table(heads, rows, texts=3)}
<footer>Losses are nats per answer in the delay task, and nats per character in the text. One run, one seed: small
differences mean nothing.</footer>"""
