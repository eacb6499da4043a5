"""The page of `textgen gates`: heat maps of every part of every layer, and the text in the colours of one unit.

A value is a byte, so a gate is shown to the nearest 1/255.
"""

import numpy as np

from textgen.evaluation.gates import GATES, LEGEND, Reading, too_short
from textgen.pages.template import asset, escape, packed, page


def gates_page(reading: Reading, model: str) -> str:
    """The page, as HTML; `model` is its name, as it is to be shown."""
    legend = LEGEND[reading.cell]
    what = "gates" if reading.cell != "rnn" else "units"
    notes = " ".join(notes_on(reading))
    return page(
        f"What the {what} of {model} do",
        BODY.format(model=escape(model), what=what, legend=legend, notes=escape(notes), found=_found(reading)),
        style=asset("gates.css"),
        script=asset("gates.js"),
        data=_data(reading),
    )


def notes_on(reading: Reading) -> list[str]:
    """What is left out, in sentences."""
    notes = []
    if len(reading.pieces) < reading.num_tokens:
        shown, read = len(reading.pieces), reading.num_tokens
        notes.append(f"The first {shown:,} of {read:,} tokens are shown; named units were looked for in all of them.")
    if (drawn := len(reading.layers[0].units)) < reading.units:
        notes.append(
            f"Of the {reading.units:,} units of each layer, {drawn:,} are shown: those that have a name, and those "
            "whose state changes most."
        )
    return notes


def _found(reading: Reading) -> str:
    if not reading.found:
        return f'<tr><td colspan="4" class="muted">{too_short(reading)}</td></tr>'
    rows = []
    for prop in reading.found:
        if not prop.units:
            rows.append(
                f'<tr><td>{prop.name}</td><td colspan="3" class="muted">none found{_because(prop.reason)}</td></tr>'
            )
        for unit in prop.units:
            place = int(np.searchsorted(reading.layers[unit.layer].units, unit.unit))
            button = (
                f'<button data-layer="{unit.layer}" data-place="{place}">layer {unit.layer + 1}, '
                f"unit {unit.unit}</button>"
            )
            rows.append(
                f'<tr><td>{prop.name}</td><td>{button}</td><td class="number">{unit.score:.2f}</td>'
                f'<td class="number">{unit.untrained:.2f}</td></tr>'
            )
    return "".join(rows)


def _because(reason: str) -> str:
    return f": {escape(reason)}" if reason else ""


def _data(reading: Reading) -> dict[str, object]:
    names = tuple(reading.layers[0].parts)
    return {
        "level": reading.level,
        "pieces": reading.pieces,
        "parts": [{"name": name, "isGate": name in GATES} for name in names],
        "layers": [
            {
                "units": layer.units.tolist(),
                "orders": {name: order.tolist() for name, order in layer.orders.items()},
                "values": [packed(as_bytes(layer.parts[name][:, layer.units], name)) for name in names],
            }
            for layer in reading.layers
        ],
    }


def as_bytes(values: np.ndarray, name: str) -> np.ndarray:
    """Values of a part [T, U] as uint8 [U, T]: 0 to 255 is 0 to 1 of a gate, and -1 to 1 of another part."""
    shares = values if name in GATES else (values + 1) / 2
    return np.ascontiguousarray(np.rint(255 * shares.T).astype(np.uint8))


BODY = """\
<h1>What the {what} of <span class="name">{model}</span> do</h1>
<p class="lead">{legend}</p>
<p class="small muted">{notes}</p>
<noscript><p>The pictures are drawn by a script, which this browser does not run.</p></noscript>
<h2>Units with a name</h2>
<p class="small muted">A unit has a name if its state follows something that can be named. The score is the rank
correlation of the two on the half of the text that took no part in choosing the unit. The last column has the best
unit of untrained models, chosen in the same way.</p>
<div class="scrolled"><table class="found"><thead>
<tr><th>follows</th><th>unit</th><th class="number">score</th><th class="number">untrained</th></tr></thead>
<tbody id="found">{found}</tbody></table></div>
<h2>All units, token by token</h2>
<p class="small muted">A row is a unit, a column a token. Click on a row, or use the arrow keys, to choose a unit for
the text below.</p>
<div class="controls" id="layers" role="group" aria-label="Layer"></div>
<div class="controls" id="names" role="group" aria-label="Part"></div>
<div class="controls"><label for="order">Sorted by</label><select id="order">
<option value="memory">how long they remember</option><option value="likeness">likeness</option></select>
<span class="ramp" id="ramp" aria-hidden="true"></span><span class="small muted number" id="ends"></span></div>
<div id="map" class="map" tabindex="0" role="group" aria-label="Heat map of all units">
<div id="axis" class="axis" aria-hidden="true"></div>
<div class="cells">
<canvas id="cells"></canvas><div id="row" class="row"></div><div id="column" class="column"></div>
</div></div>
<div id="reading" class="panel" aria-live="polite"></div>
<h2>The text in the colours of <span id="unit-name">a unit</span></h2>
<div id="text" class="text"></div>
"""
