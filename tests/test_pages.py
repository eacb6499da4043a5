"""The frame of every page: what it allows, what it escapes, how it looks."""

import html.parser
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from browser import needs_chromium

from textgen.pages.template import asset, escape, packed, page, script_json

HOSTILE = (
    "</script><script>document.title='run'</script><!-- \u2028\u2029 & 'quoted' \"twice\" <img src=x onerror=run()>"
)


class Elements(html.parser.HTMLParser):
    """Every element of a page with its attributes, and the text of each script."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append((self.found[-1][0] if self.found else "", data))


def test_hostile_texts_stay_texts_in_every_place():
    made = page(HOSTILE, f"<p>{escape(HOSTILE)}</p>", script="run();", data={"text": HOSTILE, HOSTILE: [HOSTILE]})
    elements = Elements(made)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert [tag for tag, _ in elements.found].count("img") == 0
    held = next(text for tag, text in elements.texts if tag == "script")
    assert json.loads(held) == {"text": HOSTILE, HOSTILE: [HOSTILE]}
    assert not {"\u2028", "\u2029", "<"} & set(held)
    assert elements.texts[[tag for tag, _ in elements.texts].index("title")][1] == HOSTILE


def test_half_a_surrogate_pair_in_a_name_can_be_written():
    assert page("\ud800", escape("\udfff"), data="\ud800").encode("utf-8").count("\ufffd".encode()) == 2
    assert json.loads(script_json("\ud800")) == "\ud800"


def test_a_page_allows_its_own_parts_alone_and_names_no_address():
    made = page("t", "<p>b</p>", style="p { color: red; }", script="at('x');", data=1, policy={"worker-src": "blob:"})
    csp = next(a["content"] for tag, a in Elements(made).found if a.get("http-equiv") == "Content-Security-Policy")
    assert re.sub(r"sha256-[^']+", "sha256", csp) == (
        "default-src 'none'; style-src 'sha256'; script-src 'sha256'; base-uri 'none'; form-action 'none'; "
        "worker-src blob:"
    )
    assert not re.search(r"https?:|//[a-z]+\.|\bsrc=|\bhref=|@import|url\(", made)
    assert "script-src" not in page("t", "b")


def test_numbers_are_packed_the_same_way_on_every_machine():
    assert packed(np.array([1, 258], ">u2")) == packed(np.array([1, 258], "<u2")) == "AQACAQ=="


@needs_chromium
def test_a_browser_runs_the_pages_own_script_and_nothing_else(chromium, tmp_path):
    script = "at('out').textContent = JSON.stringify([...unpack(data.numbers, Uint16Array)]) + data.text;"
    script += "inEveryScheme(() => { at('out').style.color = rgb(sequential()(0.5)); });"
    numbers = packed(np.array([1, 65535], np.uint16))
    made = page(HOSTILE, "<p id='out'></p>", script=script, data={"numbers": numbers, "text": HOSTILE})
    good, bad = tmp_path / "good.html", tmp_path / "bad.html"
    good.write_text(made, encoding="utf-8")
    bad.write_text(made.replace("</main>", "<script>document.title = 'run'</script><img src=x></main>"))
    chromium.open(good)
    assert chromium.evaluate("[document.title, at('out').textContent]") == [HOSTILE, "[1,65535]" + HOSTILE]
    assert chromium.evaluate("getComputedStyle(at('out')).color") == "rgb(251, 208, 156)"
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    chromium.call("Emulation.setEmulatedMedia", features=dark)
    chromium.settle()
    assert chromium.evaluate("getComputedStyle(at('out')).color") == "rgb(87, 50, 19)"
    assert chromium.problems == []
    chromium.open(bad)
    assert chromium.evaluate("document.title") == HOSTILE
    refused = [problem for problem in chromium.problems if "Content Security Policy" in problem]
    assert len(refused) == 2, chromium.problems


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_scripts_are_whole_and_read_what_python_packs(tmp_path):
    """Without a browser too: each script is read by Node, and the parts that need no document are run."""
    stub = "globalThis.document = { getElementById: () => ({ textContent: process.argv[2] }), documentElement: null };"
    stub += "globalThis.getComputedStyle = () => ({ getPropertyValue: (name) => name === '--a' ? '#000' : '#ff8000' });"
    shown = "[[...unpack(data, Float32Array)], scaleOf('--a', '--b')(0.5), shownShare(1 / 3), shownShare(2 ** -20),"
    shown += "shownShare(1), shownShare(0), shownNumber(1234.5, 1)]"
    others = "".join(
        f"new Function({json.dumps(asset('page.js') + asset(name))});" for name in ("score.js", "gates.js")
    )
    (tmp_path / "run.js").write_text(f"{stub}{asset('page.js')}{others}console.log(JSON.stringify({shown}));")
    values = np.array([0.5, -3], np.float32)
    run = ["node", tmp_path / "run.js", json.dumps(packed(values))]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [
        [0.5, -3], [128, 64, 0], "33.3%", "1 in 1,000,000", "100%", "0%", "1,234.5"
    ]  # fmt: skip


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_on_every_ground_and_scales_are_ordered_by_lightness(scheme):
    """WCAG 2 asks for 4.5 of text; what rises in lightness alone is read without telling colours apart."""
    blocks = re.findall(r":root \{(.*?)\}", asset("page.css"), re.DOTALL)[:2]
    colours = dict(re.findall(r"(--[\w-]+): (#\w+);", blocks[scheme]))
    names = ("--paper", "--raised", "--low-text", "--high-text", *(f"--scale-{i}" for i in range(5)))
    grounds = [colours[name] for name in names]
    assert min(contrast(colours["--ink"], ground) for ground in grounds) >= 4.5
    for name in ("--muted", "--accent", "--accent-2"):
        assert min(contrast(colours[name], colours[ground]) for ground in ("--paper", "--raised")) >= 4.5, name
    lightness = [luminance(colours[f"--scale-{i}"]) for i in range(5)]
    assert lightness == sorted(lightness, reverse=scheme == 0)
    assert min(contrast(colours[end], colours["--middle"]) for end in ("--low", "--high")) >= 4.5
