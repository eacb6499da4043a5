"""The page at `/`: a writing desk in the browser, which speaks to the server that it came from and to nothing else."""

from collections.abc import Mapping, Sequence

from textgen.pages.template import asset, escape, page

SCRIPTS = ("desk_story.js", "desk_model.js", "desk_sheet.js", "desk_writing.js", "desk.js")


def desk_page(models: Sequence[Mapping[str, object]]) -> str:
    """The page, as HTML.

    Args:
        models: as `/v1/models` lists them: an "id", and perhaps "level" ("char" or "word"), by which the page
            knows what an alternative takes the place of. Without any, the page asks the server for its models.
    """
    known = [{key: model[key] for key in ("id", "level") if key in model} for model in models]
    options = "".join(f'<option value="{escape(model["id"])}">{escape(model["id"])}</option>' for model in known)
    icons = {name: ICON.format(drawing=drawing) for name, drawing in DRAWINGS.items()}
    return page(
        "A writing desk",
        BODY.format(models=options, **icons),
        style=asset("desk.css"),
        script="".join(asset(name) for name in SCRIPTS),
        data={"models": known},
        policy={"connect-src": "'self'"},
    )


ICON = '<svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">{drawing}</svg>'
DRAWINGS = {
    "undo": '<path d="M7 4 3.5 7.5 7 11M4 7.5h7.5a4.25 4.25 0 0 1 0 8.5H8"/>',
    "redo": '<path d="m13 4 3.5 3.5L13 11m3-3.5H8.5a4.25 4.25 0 0 0 0 8.5H12"/>',
    "branch": '<circle cx="5.5" cy="4.5" r="1.75"/><circle cx="5.5" cy="15.5" r="1.75"/>'
    '<circle cx="14.5" cy="6.5" r="1.75"/>'
    '<path d="M5.5 6.25v7.5M14.5 8.25c0 3-9 1.5-9 4.5"/>',
    "surprise": '<path d="M10 3c2.8 3.2 4.75 5.6 4.75 8.2a4.75 4.75 0 0 1-9.5 0C5.25 8.6 7.2 6.2 10 3Z"/>',
    "sliders": '<path d="M3 6h7m4 0h3M3 14h3m4 0h7"/><circle cx="12" cy="6" r="2"/><circle cx="8" cy="14" r="2"/>',
    "file": '<path d="M5 2.75h6.5L15.25 6.5v10.75H5ZM11.25 3v3.75H15"/>',
    "back": '<path d="M12 5 7 10l5 5"/>',
    "forth": '<path d="m8 5 5 5-5 5"/>',
}

BODY = """\
<header id="head">
  <label for="model" class="for-readers">Model</label>
  <select id="model">{models}</select>
  <nav aria-label="Tools">
    <button id="undo" title="Undo (Ctrl+Z)" aria-label="Undo">{undo}</button>
    <button id="redo" title="Redo (Ctrl+Shift+Z)" aria-label="Redo">{redo}</button>
    <button popovertarget="branches" aria-controls="branches" aria-expanded="false">
      {branch}<span>Branches</span></button>
    <button id="surprise" aria-pressed="false" title="Colour what surprises the model">
      {surprise}<span>Surprise</span></button>
    <button popovertarget="settings" aria-controls="settings" aria-expanded="false">
      {sliders}<span>Settings</span></button>
    <button popovertarget="files" aria-controls="files" aria-expanded="false">
      {file}<span>File</span></button>
  </nav>
</header>
<noscript><p>The desk is made by a script, which this browser does not run.</p></noscript>
<h1 class="for-readers">A writing desk</h1>
<div id="frame">
  <div id="picture" class="writing" aria-hidden="true"></div>
  <textarea id="sheet" class="writing" aria-label="Your text" aria-describedby="keys" autocomplete="off"
    placeholder="Begin to write. Continue, or Tab, lets the model go on."></textarea>
  <div id="alternatives" class="panel" role="group" aria-label="Other ways to go on here" hidden>
    <ul id="ways" role="listbox" aria-label="The likeliest, by probability"></ul>
    <p id="end" class="small muted"></p>
    <button id="write-on" title="Shift+Enter on another word does the same with it">Write on from here</button>
  </div>
</div>
<section id="branches" class="panel sheet-panel" popover aria-label="Branches">
  <h2>Branches</h2>
  <p class="small muted">Nothing that was written is lost. Each end of the story, the latest first:</p>
  <ol id="tips"></ol>
</section>
<section id="settings" class="panel sheet-panel" popover aria-label="Settings">
  <h2>Settings</h2>
  <div class="fields">
    <label for="max_tokens">Length, in symbols or words</label>
    <input id="max_tokens" type="number" min="1" max="100000" value="200" required>
    <label for="temperature">Temperature</label>
    <input id="temperature" type="number" min="0" max="5" step="any" value="0.8" required>
    <label for="top_p">Top p</label>
    <input id="top_p" type="number" min="0.001" max="1" step="any" placeholder="off">
    <label for="min_p">Min p</label>
    <input id="min_p" type="number" min="0" max="1" step="any" placeholder="off">
    <label for="top_k">Top k</label>
    <input id="top_k" type="number" min="1" placeholder="off">
    <label for="repeat_penalty">Repeat penalty</label>
    <input id="repeat_penalty" type="number" min="1" max="10" step="any" placeholder="off">
    <label for="seed">Seed</label>
    <input id="seed" type="number" min="0" max="9007199254740991" placeholder="any">
    <label for="stop-at">Stop at</label>
    <input id="stop-at" type="text" placeholder="nothing" title="\\n is the end of a line" autocomplete="off">
    <label for="reads">Reads back, in characters</label>
    <input id="reads" type="number" min="1" max="1000000" value="4000" required>
  </div>
  <button id="defaults">Back to what it was</button>
  <h3>Keys</h3>
  <dl id="keys" class="fields small">
    <dt>Continue</dt><dd><kbd>Tab</kbd> or <kbd>Ctrl+Enter</kbd></dd>
    <dt>Once more, otherwise</dt><dd><kbd>Ctrl+Shift+Enter</kbd></dd>
    <dt>Stop; then Tab leaves</dt><dd><kbd>Esc</kbd></dd>
    <dt>Other ways at a word</dt><dd><kbd>Alt+\u2193</kbd>, or a click</dd>
    <dt>\u2026 at one of your own</dt><dd>a second click</dd>
    <dt>Undo, redo</dt><dd><kbd>Ctrl+Z</kbd>, <kbd>Ctrl+Shift+Z</kbd></dd>
    <dt>Save, open</dt><dd><kbd>Ctrl+S</kbd>, <kbd>Ctrl+O</kbd></dd>
  </dl>
</section>
<section id="files" class="panel sheet-panel" popover aria-label="File">
  <h2>File</h2>
  <div class="choices">
    <button id="new">New sheet</button>
    <label for="open" class="button">Open a session or a text\u2026</label>
    <input id="open" class="for-readers" type="file" accept=".json,.txt,.md,text/plain,application/json">
    <button id="save">Save the session</button>
    <button id="save-text">Save the text alone</button>
  </div>
  <p class="small muted">The browser keeps the sheet by itself. A session holds the text, its branches and the
  settings.</p>
</section>
<div id="foot">
  <p id="status" role="status" class="small"></p>
  <p id="scale" class="small muted" hidden>expected <span class="ramp" aria-hidden="true"></span> surprising</p>
  <output id="count" class="small muted number"></output>
  <div id="versions" role="group" aria-label="Versions of the latest continuation" hidden>
    <button id="earlier" aria-label="Earlier version">{back}</button>
    <span id="version" class="small muted number"></span>
    <button id="later" aria-label="Later version">{forth}</button>
  </div>
  <button id="again" title="Write the latest continuation once more (Ctrl+Shift+Enter)">Again</button>
  <button id="continue" class="primary" title="Tab or Ctrl+Enter; Esc stops">Continue</button>
</div>
<dialog id="key-dialog" aria-labelledby="key-label">
  <form method="dialog">
    <label id="key-label" for="key">The server asks for its API key. This tab keeps it until it is closed.</label>
    <input id="key" type="password" autocomplete="off">
    <div class="controls"><button value="use" class="primary">Use it</button><button value="">Not now</button></div>
  </form>
</dialog>
"""
