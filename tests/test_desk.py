"""The page of `textgen serve`: its story as plain functions in Node, its keys and its sheet in Chromium."""

import itertools
import json
import re
import shutil
import subprocess

import pytest
from browser import needs_chromium
from desk_server import WORDS, desk_server

from textgen.pages.template import asset
from textgen.serving.page import desk_page

WRITTEN = "".join(f" {word}" for word in WORDS)
HOSTILE = "</select><script>document.title='run'</script>\"'&"


def in_node(expression: str):
    """The value of a JavaScript expression beside the functions that touch no page."""
    code = f'"use strict";{asset("desk_story.js")}{asset("desk_model.js")}console.log(JSON.stringify({expression}));'
    done = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# What is asked, and what comes out: all in one run of Node.
CASES = [
    # A change, found by the caret behind it: where, how many characters went, what came.
    ('difference("xaab", "xaaab", 2)', {"at": 1, "removed": 0, "inserted": "a"}),
    ('difference("aXXb", "ab", 1)', {"at": 1, "removed": 2, "inserted": ""}),
    ('difference("\U0001f600", "\U0001f601")', {"at": 0, "removed": 2, "inserted": "\U0001f601"}),
    ('difference("abc", "aXbYc", 2)', {"at": 1, "removed": 1, "inserted": "XbY"}),
    # What an alternative takes the place of.
    ('unitAt("the cat, sat", 5, "character")', [3, 8]),
    ('unitAt("the cat, sat", 5, "word")', [3, 7]),
    ('unitAt("the cat, sat", 7, "word")', [7, 8]),
    ('unitAt("\u6f22\u5b57", 1, "character")', [1, 2]),
    ('unitAt("a\\n\\nbc", 4, "character")', [1, 5]),
    ('unitAt("the  ", 4, "word")', None),
    ('unitAt("", 0, "word")', None),
    # What the model reads: from the beginning of a word, and never half a pair.
    ('lastOf("one two three", 8)', "three"),
    ('lastOf("one", 8)', "one"),
    ('lastOf("\U0001f600\U0001f600", 3)', "\U0001f600"),
    # Events of the server, cut anywhere.
    ('eventsIn("data: a\\n\\n: x\\n\\ndata: b\\r\\n\\r\\ndata: c")', [["a", "b"], "data: c"]),
    # Undone to where branches part, the story is on the one that redoing leads to.
    (
        "(() => { const s = newStory(); for (const text of ['a', 'b', 'c']) { "
        "take(s, 0, 0, pieceBy('own', text), 'own'); if (text !== 'c') undo(s); } "
        "undo(s); return [s.now, tips(s), wayOn(s)]; })()",
        [0, [3, 2, 1], 3],
    ),
    # Stretches of the model stay where they were when something else changes.
    (
        'joinMarks(pieceBy("model", "ab"), pieceBy("own", "c"), pieceBy("model", "d"), pieceBy("model", "e"))',
        [0, 2, 3, 5],
    ),
    ("cutMarks([0, 4, 6, 9], 2, 7)", [0, 2, 4, 5]),
]
# Steps on a story, and its text, stretches and number of steps behind.
STORIES = [
    ("type('I'); type(' am')", ["I am", [], 2]),
    ("type('I', 0); type(' am', 9000)", ["I am", [], 3]),
    ("type('I.\\n'); type('A')", ["I.\nA", [], 3]),
    ("type('cat'); drop(1); type('r')", ["car", [], 2]),
    ("type('k'); over(1, '\u304b')", ["\u304b", [], 2]),
    ("type('I'); model(' am'); more(' here'); undo(s)", ["I", [], 3]),
    ("type('I'); model(' am'); more(' here'); undo(s); redo(s)", ["I am here", [1, 9], 3]),
    ("type('I'); model(' am'); undo(s); model(' was'); type('!')", ["I was!", [1, 5], 5]),
    ("type('I'); model(' am'); undo(s); model(' was'); goTo(s, 2)", ["I am", [1, 4], 4]),
    ("type('I'); model(' am'); undo(s); undo(s); undo(s); redo(s); redo(s); redo(s)", ["I am", [1, 4], 3]),
    ("model('abcd'); take(s, 2, 0, pieceBy('own', 'X'), 'typing')", ["abXcd", [0, 2, 3, 5], 3]),
]
DRIVER = """(() => { const s = newStory(); const end = () => s.text.length;
const type = (text, when = 0) => take(s, end(), 0, pieceBy("own", text), "typing", when);
const over = (n, text) => take(s, end() - n, n, pieceBy("own", text), "typing", 0);
const drop = (n) => over(n, "");
const model = (text) => take(s, end(), 0, pieceBy("model", text), "model");
const more = (text) => extend(s, pieceBy("model", text));
%s; const kept = storyOf(JSON.parse(JSON.stringify(sessionOf(s, "m", {}))));
if (kept.text !== s.text || String(kept.marks) !== String(s.marks)) throw new Error("kept otherwise");
return [s.text, s.marks, s.steps.length]; })()"""
DAMAGED = [
    "null",
    "{}",
    "{kind: KIND, version: 2, steps: [], now: 0}",
    "{...good, now: 9}",
    "{...good, steps: []}",
    "{...good, steps: [{...good.steps[0], parent: 0}]}",
    "{...good, steps: [good.steps[0], {...good.steps[1], parent: 1}]}",
    "{...good, steps: [good.steps[0], {...good.steps[1], at: 1e6}]}",
    "{...good, steps: [good.steps[0], {...good.steps[1], inserted: {text: 'a', marks: [0, 2]}}]}",
    "{...good, steps: [{...good.steps[0], next: 0}, good.steps[1]]}",
]


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_a_story_is_a_tree_of_steps_that_loses_nothing():
    asked = [expression for expression, _ in CASES] + [DRIVER % steps for steps, _ in STORIES]
    good = "const built = newStory(); take(built, 0, 0, pieceBy('own', 'a'), 'own'); "
    good += "const good = sessionOf(built)"
    refused = [
        f"(() => {{ {good}; try {{ storyOf({session}); return 'taken'; }} catch (e) {{ return e.message; }} }})()"
        for session in DAMAGED
    ]
    long = "(() => { const s = newStory(); for (let i = 0; i < 5000; i++) take(s, i, 0, pieceBy('own', 'x'), 'own'); "
    long += "const before = s.text; goTo(s, 0); goTo(s, s.steps.length - 1); "
    long += "return [s.text === before, before.length, s.steps.length <= MAX_STEPS]; })()"
    found = in_node(f"[{', '.join([*asked, *refused, long])}]")
    for expression, result, outcome in zip(asked, found, [outcome for _, outcome in (*CASES, *STORIES)], strict=False):
        assert result == outcome, expression
    assert all(re.match("it is ", message) for message in found[len(asked) : -1])
    assert found[-1] == [True, 5000, True]


def test_a_models_name_stays_a_name_and_the_page_may_ask_its_own_server_alone():
    made = desk_page([{"id": HOSTILE, "level": "word", "secret": 1}])
    assert HOSTILE not in made
    assert made.count("<script>") == 1
    assert "secret" not in made
    assert "connect-src &#x27;self&#x27;" in made
    assert not re.search(r" style=| on\w+=|https?://", made.split("<script>")[0].split("</style>")[1])


@pytest.fixture
def desk(chromium):
    """An open page on an empty desk, and its server."""
    with desk_server(HOSTILE) as server:
        chromium.open(server.url)
        yield chromium, server
        assert [problem for problem in chromium.problems if "status of 40" not in problem] == []
        chromium.call("Page.navigate", url="about:blank")


def text_of(page) -> str:
    """What is on the sheet; in both of its layers, which must agree."""
    sheet, picture = page.evaluate("[sheet.value, [...picture.children].map((line) => line.textContent).join('\\n')]")
    assert picture.replace("\u200b", "") == sheet == page.evaluate("story.text")
    assert page.evaluate("Math.abs(sheet.scrollHeight - picture.offsetHeight) < 2")
    return sheet


@needs_chromium
def test_a_story_is_written_by_turns_changed_undone_and_kept(desk):
    page, server = desk
    page.write("It was late.")
    page.press("Tab")
    page.wait("!writing && story.text.length > 20")
    assert text_of(page) == "It was late." + WRITTEN
    path, body = server.asked[-1]
    asked = {"model": HOSTILE, "prompt": "It was late.", "max_tokens": 200, "temperature": 0.8, "stream": True}
    assert (path, body) == ("/v1/completions", asked)
    assert page.evaluate("story.marks") == [12, 12 + len(WRITTEN)]
    assert page.evaluate("document.querySelector('.by-model').textContent") == WRITTEN

    # Another word in place of one of the model's, with the mouse; markup in a piece is text.
    spot = "(() => { const at = story.text.indexOf('wind'); const box = rectangleOf(at, at + 4);"
    x, y = page.evaluate(spot + " return [box.left + 8, box.top + 9]; })()")
    page.point(x, y, click=True)
    page.wait("!at('alternatives').hidden")
    assert server.asked[-1][1]["text"] == "It was late." + WRITTEN[: WRITTEN.index(" wind")]
    listed = page.evaluate("[...at('ways').children].map((way) => way.textContent)")
    assert listed == ["lamp50.0%", "<b>cat</b>25.0%", "\u23ce1 in 100,000"]
    assert page.evaluate("at('end').textContent") == "The text ends here: 12.5%"
    page.press("Escape")
    assert page.evaluate("at('alternatives').hidden")
    page.press("Alt+ArrowDown")
    page.wait("document.activeElement.role === 'option'")
    page.press("ArrowDown")
    page.press("Enter")
    assert text_of(page) == "It was late." + WRITTEN.replace("wind", "<b>cat</b>")
    page.press("Ctrl+z")
    assert text_of(page) == "It was late." + WRITTEN
    page.press("Ctrl+z")
    assert text_of(page) == "It was late."
    page.press("Ctrl+y")

    # Once more: two versions, and both stay.
    server.words = ["Once", "more"]
    page.press("Ctrl+Shift+Enter")
    page.wait("!writing && story.text.endsWith('more')")
    assert text_of(page) == "It was late. Once more"
    assert page.evaluate("at('version').textContent") == "2 of 2"
    page.evaluate("at('earlier').click()")
    assert text_of(page) == "It was late." + WRITTEN
    page.evaluate("listBranches()")
    assert page.evaluate("at('tips').children.length") == 2  # the other word, and what was written once more

    page.write(" And\nso")
    page.load()
    assert text_of(page) == "It was late." + WRITTEN + " And\nso"
    page.press("Ctrl+z")
    assert text_of(page) == "It was late." + WRITTEN


@needs_chromium
def test_a_second_click_on_a_word_of_ones_own_asks_for_others(desk):
    """A phone has no other way to ask, and the first click is for the caret."""
    page, server = desk
    page.write("It was very late.")
    spot = "(() => { const at = story.text.indexOf('very'); const box = rectangleOf(at, at + 4);"
    x, y = page.evaluate(spot + " return [box.left + 8, box.top + 9]; })()")
    page.point(x, y, click=True)
    page.write("e")  # what is written begins anew
    page.press("Ctrl+z")
    page.point(x, y, click=True)
    page.settle()
    assert server.asked == []
    page.point(x, y, click=True)
    page.wait("!at('alternatives').hidden")
    assert [body["text"] for _, body in server.asked] == ["It was"]
    page.evaluate("at('ways').children[0].click()")
    assert text_of(page) == "It was lamp late."


@needs_chromium
def test_writing_stops_at_escape_and_at_the_first_key_and_what_was_written_stays(desk):
    page, server = desk
    server.seconds, server.words = 0.1, ["on"] * 500
    page.evaluate("story.text && begin('')")
    for how, end in (("page.press('Escape')", "on"), ("page.write('X')", "onX")):
        before = text_of(page)
        page.press("Ctrl+Enter")
        page.wait(f"writing && story.text.length > {len(before) + 4}")
        eval(how)
        assert page.evaluate("writing") is None
        assert re.fullmatch(f"{before}( on)* {end}", text_of(page))


@needs_chromium
def test_settings_are_sent_and_a_session_is_saved_and_opened(desk):
    page, server = desk
    page.write("One two three")
    page.evaluate("const given = { seed: 7, 'stop-at': '\\\\n', reads: 8, top_k: 5 }")
    page.evaluate("for (const name in given) at(name).value = given[name]")
    page.press("Tab")
    page.wait("!writing && story.text.length > 20")
    asked = {"model": HOSTILE, "prompt": "three", "max_tokens": 200, "temperature": 0.8, "stream": True}
    assert server.asked[-1][1] == asked | {"top_k": 5, "seed": 7, "stop": ["\n"]}
    page.press("Ctrl+Shift+Enter")
    page.wait("!writing && versions(story).length === 2")
    assert server.asked[-1][1]["seed"] == 8

    page.evaluate("download = (...what) => { globalThis.saved = what; }; confirm = () => true; at('save').click()")
    assert page.evaluate("saved[0]") == "one-two-three-the-lamp.textgen.json"
    page.evaluate("at('new').click(); at('seed').value = ''")
    assert text_of(page) == ""
    page.evaluate("open(new File([saved[1]], saved[0]))")
    assert text_of(page) == "One two three" + WRITTEN
    assert page.evaluate("[at('seed').value, versions(story).length]") == ["7", 2]
    page.evaluate("open(new File(['{}'], 'a.json'))")
    assert page.evaluate("at('status').textContent") == "a.json cannot be opened: it is no session of this page."
    page.evaluate("open(new File(['\\ufeffplain\\r\\ntext'], 'a.txt'))")
    assert text_of(page) == "plain\ntext"
    assert page.evaluate("at('status').textContent") == ""
    page.evaluate("at('undo').click(); at('undo').click(); listBranches()")
    assert page.evaluate("[...at('tips').querySelectorAll('[aria-current]')].length") == 1


WRONG = {
    "temperature": (["99", "", "-1"], "Temperature must be a number from 0 to 5."),
    "max_tokens": (["0", "2.5", ""], "Length must be a whole number from 1 to 100,000."),
    "top_p": (["0", "1.5"], "Top p must be a number from 0.001 to 1."),
    "top_k": (["0", "2.5"], "Top k must be a whole number from 1 on."),
    "seed": (["1" * 20], "Seed must be a whole number from 0 to 9,007,199,254,740,991."),
    "reads": ([""], "Reads back must be a whole number from 1 to 1,000,000."),
}


@needs_chromium
def test_a_setting_out_of_its_range_is_said_and_nothing_is_asked(desk):
    page, server = desk
    page.evaluate("begin('A tale')")
    for name, (values, message) in WRONG.items():
        for value in values:
            page.evaluate(f"at('{name}').value = '{value}'")
            page.evaluate("at('status').textContent = ''")
            page.press("Tab")
            assert page.evaluate("at('status').textContent") == f"{message} Put it right in Settings."
        page.evaluate(f"at('{name}').value = at('{name}').defaultValue")
    assert [path for path, _ in server.asked if "completions" in path] == []
    page.press("Tab")
    page.wait("!writing && story.text.length > 20")
    assert page.evaluate("at('status').textContent") == ""


@needs_chromium
def test_the_server_colours_refuses_and_asks_for_its_key(desk):
    page, server = desk
    page.evaluate("begin('A tale')")
    page.evaluate("at('surprise').click()")
    page.wait("surprisals")
    found = page.evaluate("[...picture.querySelectorAll('span')].map((piece) => piece.className + piece.textContent)")
    assert found == ["bits-3a", "bits-3e"]
    page.evaluate("at('surprise').click()")

    server.failure = (400, {"error": {"message": "`top_k` <b>must</b> be a whole number."}})
    page.press("Tab")
    page.wait("!writing && at('status').textContent")
    assert page.evaluate("at('status').textContent") == "`top_k` <b>must</b> be a whole number."
    assert text_of(page) == "A tale"
    server.failure, server.key = None, "sesame"
    page.press("Tab")
    page.wait("at('key-dialog').open")
    page.write("sesame")
    page.press("Enter")
    page.wait("!writing && story.text.length > 20")
    assert text_of(page) == "A tale" + WRITTEN


@needs_chromium
def test_a_long_text_of_many_hands_is_drawn_where_it_is_typed_and_narrow_screens_hold_it(desk):
    page, _ = desk
    paragraphs = "\\n\\n".join(["Long ago \U0001f600 there was, as they say, a very quiet house. " * 8] * 220)
    page.evaluate(f"begin('{paragraphs}')")
    page.evaluate("for (let i = 0; i < 300; i++) take(story, 300 * i, 5, pieceBy('model', ' fine '), 'own'); drawAll()")
    page.evaluate("changed(null)")
    page.write(" The")
    assert len(text_of(page)) > 95_000
    assert page.evaluate("at('frame').getBoundingClientRect().height") > 10_000
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.call("Emulation.setDeviceMetricsOverride", **size)
    page.settle()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    text_of(page)
    page.evaluate("at('surprise').click()")
    page.wait("/^The last 1\\d,\\d+ characters are coloured\\.$/.test(at('status').textContent)")


@needs_chromium
def test_what_was_written_stays_where_the_server_breaks_off(desk):
    page, server = desk
    server.breaks_off = True
    page.write("It was late.")
    page.press("Tab")
    page.wait("!writing && at('status').textContent")
    said = page.evaluate("[at('status').textContent, at('continue').textContent]")
    assert said == ["The server broke off.", "Continue"]
    text = text_of(page)
    assert ("It was late." + WRITTEN).startswith(text)  # a browser may drop what came last
    assert len(text) > len("It was late.")
    page.problems.clear()  # the browser says it, too


# Whether all that is seen of some elements lies within the window, above the foot, and in one row.
BOXES = (
    "(ids) => ids.map((id) => at(id).getBoundingClientRect()).map((box) => [box.left, box.top, box.right, box.bottom])"
)


@needs_chromium
@pytest.mark.parametrize("height", [500, 800])
def test_a_phone_has_room_for_the_alternatives_and_one_row_of_buttons(desk, height):
    page, server = desk
    server.ways = [(f" {word}", 0.1) for word in WORDS]
    size = {"width": 390, "height": height, "deviceScaleFactor": 1, "mobile": True}
    page.call("Emulation.setDeviceMetricsOverride", **size)
    page.write("It was late. " * 8)
    for keys in ("Tab", "Ctrl+Shift+Enter"):
        page.press(keys)
        page.wait("!writing && at('again').disabled === false")
    page.wait("at('count').textContent")
    row = page.evaluate(f"({BOXES})(['count', 'versions', 'again', 'continue'])")
    assert all(left[2] <= right[0] for left, right in itertools.pairwise(row))
    assert row[0][0] >= 0
    assert row[-1][2] <= 390
    page.evaluate("openAlternatives(story.text.indexOf('late'))")
    page.wait("!at('alternatives').hidden")
    panel, foot, last = page.evaluate(f"({BOXES})(['alternatives', 'foot', 'write-on'])")
    assert panel[0] >= 0
    assert panel[2] < 390
    assert last[3] <= panel[3] <= foot[1]
    page.evaluate("closeAlternatives()")
