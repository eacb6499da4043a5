"""A page that holds a model and writes, in any browser and without a network.

It holds two compressed parts, the model's document and its weights, and the scripts of its worker, which does all the
writing. Before the page gets its name, Node runs that worker and its texts are compared with the NumPy engine's.
"""

import functools
import json
import os
import shutil
import stat
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from textgen.errors import ExportError
from textgen.export.document import model_document
from textgen.export.requests import CHECKED, OPTIONAL, REQUIRED, SETTINGS, Answers, CannotRunError, Requests, simple
from textgen.export.writing import ExportResult, checked_or_not
from textgen.messages import shown
from textgen.pages.template import asset, escape, packed, page
from textgen.store import atomic, model_directory
from textgen.store.model_directory import StoredModel
from textgen.store.opening import open_regular
from textgen.store.tensors import SCALE, rounded, stored_tensors

WORKER = ("network.js", "tokenizer.js", "sampling.js", "worker.js")
TYPES = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16", np.dtype(np.int8): "I8"}
MARK = "<!-- textgen export --format html -->"  # by which `overwrite` knows a page
MARK_WITHIN = 2**17  # bytes from the page's beginning; the style sheet stands before it
MAX_LENGTH = 100_000  # what a browser still shows well
TIMEOUT_SECONDS = 600
CHECKED_UNITS = {"char": 200, "word": 50}  # of each text that is compared: Node writes some 50 words in a second
NAMES = {
    "top_k": "Top-k",
    "top_p": "Top-p",
    "min_p": "Min-p",
    "no_repeat_ngram": "No repeat n\N{NON-BREAKING HYPHEN}gram",
}


def default_dtype(model: StoredModel) -> str:
    """How a page stores weights unless it is told: as the model does where that is smallest, else as float16."""
    return "int8" if model.record.training.storage == "int8" else "float16"


def export_page(
    model: StoredModel,
    output: Path,
    *,
    dtype: str | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda status: None,
) -> ExportResult:
    """Write `model` as a page that writes.

    Args:
        output: must not exist, unless `overwrite` is set and it is such a page.
        dtype: one of STORAGES, None is `default_dtype`. The page is compared with the model of these weights.

    Raises:
        ExportError: it cannot be written, or does not give the model's texts.
    """
    started = time.perf_counter()
    try:
        output = Path(os.path.realpath(output))
        _check_output(output, overwrite)
        mode = 0o666 if model_directory.is_public(model.path) else 0o600
        with atomic.replacing_file(output, mode) as file:
            progress(f"building a page of {shown(model.name)}")
            dtype = dtype or default_dtype(model)
            text = writing_page(model, dtype)
            progress("running its script in a fresh process, to compare it with the NumPy engine")
            read_back = model._replace(weights=rounded(model.weights, dtype))
            configs = [simple(config, CHECKED_UNITS[model.tokenizer.level]) for config in CHECKED]
            checked, not_checked = checked_or_not(read_back, functools.partial(answer, text), configs)
            file.write(content := text.encode("utf-8"))
    except (OSError, ValueError) as problem:  # ValueError: a path that holds NUL
        raise ExportError(f"cannot write {shown(output)}: {getattr(problem, 'strerror', None) or problem}") from None
    seconds = round(time.perf_counter() - started, 3)
    return ExportResult(model.name, output, len(content), model.sha256, {}, checked, not_checked, seconds, dtype)


def writing_page(model: StoredModel, dtype: str) -> str:
    """The page, as HTML."""
    tensors, weights = [], b""
    stored = stored_tensors(model.weights, dtype)
    for name in model.weights:
        tensor = stored[name]
        columns = tensor.shape[-1] if tensor.ndim == 2 and not name.endswith("bias") else tensor.size
        tensors.append((name, TYPES[tensor.dtype], tensor.size // columns, columns))
        weights += tensor.astype(tensor.dtype.newbyteorder("<")).tobytes()
        if name + SCALE in stored:
            weights += stored[name + SCALE].astype("<f4").tobytes()
    document = model_document(model) | {"tensors": tensors}
    plain = json.dumps(document, separators=(",", ":")).encode("utf-8")
    name = escape(shown(model.name))
    more = [name for name in OPTIONAL if name != "ban" and (name != "min_length" or model.tokenizer.eod_id is not None)]
    first, others = ("".join(_field(name, model.tokenizer.level) for name in names) for names in (REQUIRED, more))
    return page(
        f"{shown(model.name)} writes",
        BODY.format(mark=MARK, model=name, first=first, more=others, weights=_said_of_weights(model, dtype)),
        style=asset("writer.css"),
        script=asset("writer_settings.js") + asset("writer.js"),
        data={
            "level": model.tokenizer.level,
            "eodId": model.tokenizer.eod_id,
            "separator": model.tokenizer.document_separator,
            "limits": {name: _limits(name) for name in (*REQUIRED, *more)},
            "worker": "\n".join(map(asset, WORKER)),
            "model": _compressed(plain),
            "weights": _compressed(weights),
        },
        policy={"worker-src": "blob:"},
    )


def answer(text: str, requests: Requests) -> Answers:
    """Answers of the page `text`, whose worker Node runs.

    Raises:
        CannotRunError: Node is not installed.
        ExportError: with the process's last words.
    """
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        raise CannotRunError("Node is not installed, so the page's texts were not compared with the NumPy engine's")
    asked = [request | {"seed": str(request["seed"])} for request in requests]  # it may be too long for JavaScript
    try:
        done = subprocess.run(
            [node, "-e", asset("check.js")],
            input=json.dumps({"page": text, "requests": asked}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExportError(f"the page gave no text within {TIMEOUT_SECONDS} seconds") from None
    if done.returncode != 0 or not done.stdout:
        problems = [line.strip() for line in done.stderr.splitlines() if "Error" in line]
        raise ExportError(f"the page's script does not run: {shown(' '.join(problems[:1]) or done.returncode)}")
    return json.loads(done.stdout)


def _check_output(output: Path, overwrite: bool) -> None:
    """Raise ExportError where a page may not be written."""
    if not output.parent.is_dir():
        raise ExportError(f"cannot write {shown(output)}: there is no directory {shown(output.parent)}")
    if not os.path.lexists(output):
        return
    if not overwrite:
        raise ExportError(f"{shown(output)} exists. Choose another place with --output, or use --overwrite")
    if not stat.S_ISREG(os.stat(output).st_mode) or MARK.encode() not in _beginning(output):
        raise ExportError(f"{shown(output)} is not the page of a model, so --overwrite does not replace it")


def _beginning(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(MARK_WITHIN)


def _compressed(content: bytes) -> str:
    return packed(np.frombuffer(zlib.compress(content, 9), np.uint8))


def _said_of_weights(model: StoredModel, dtype: str) -> str:
    if dtype in ("float32", model.record.training.storage):
        return "<code>textgen sample</code> writes it, too."
    return f"The weights are rounded to {dtype}, so <code>textgen sample</code> may write another."


def _limits(name: str) -> dict[str, Any]:
    """The range of a setting: numbers of JSON, a seed's as text."""
    setting, found = SETTINGS[name], SETTINGS[name].metadata
    most = {"length": MAX_LENGTH, "min_length": MAX_LENGTH, "seed": str(found["maximum"])}.get(name, found["maximum"])
    return {"isWhole": setting.type is int, "least": found["minimum"], "above": found["above"], "most": most}


def _field(name: str, level: str) -> str:
    """A labelled field of the form, with the sentence that help says of it."""
    setting = SETTINGS[name]
    names = NAMES | {"length": "Characters" if level == "char" else "Words"}
    label = names.get(name, name.capitalize().replace("_", " "))
    kind = "numeric" if setting.type is int else "decimal"
    title = escape(setting.metadata["description"].split(". ")[0].rstrip(".") + ".")  # the rest is of a command line
    return (
        f'<p class="field"><label for="{name}" title="{title}">{label}</label><input id="{name}" type="text" '
        f'inputmode="{kind}" autocomplete="off" value="{setting.default:g}" title="{title}"></p>'
    )


BODY = """\
{mark}
<h1><span class="name">{model}</span> writes</h1>
<p class="lead">The model is in this page. It writes on your own computer, and what you type stays there.</p>
<noscript><p>The writing is done by a script, which this browser does not run.</p></noscript>
<form id="form">
<p class="prompt"><label for="prompt">Begin with</label>
<textarea id="prompt" rows="3" spellcheck="false" placeholder="nothing: the model begins by itself"></textarea></p>
<div class="fields">{first}</div>
<details id="more"><summary>More</summary><div class="fields">{more}</div></details>
<div class="controls no-print">
<button id="write" type="submit" class="first" disabled>Write</button>
<button id="stop" type="button" disabled>Stop</button>
<button id="go-on" type="button" disabled>Go on</button>
<button id="again" type="button" disabled>Another try</button>
<button id="undo" type="button" disabled>Undo</button>
</div>
</form>
<p id="status" class="small muted number" role="status">Opening the model ...</p>
<p id="replaced" class="small muted"></p>
<div id="text" class="text" tabindex="0" role="group" aria-label="The text; arrow keys move from word to word, Enter \
shows what else a word could have been"></div>
<aside id="other" class="panel" aria-live="polite" hidden></aside>
<footer><p>Click on a word to see what else the model could have written there, and choose. The seed grows by one with
every text, so that each is another; the same seed, prompt and settings give the same text. {weights}</p></footer>
"""
