"""The frame of every page: one file that opens from a disk, with its data inside and nothing fetched.

A Content-Security-Policy allows the page's own style sheet and script alone, by their hashes: what a text or a name
smuggles in is not run. So a body has no `style` or `on...` attributes; a script may set `element.style`.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

# In a script, `<` could begin its end tag or a comment, and U+2028 and U+2029 end a line for older readers.
UNSAFE_IN_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
SURROGATES = re.compile("[\ud800-\udfff]")


def page(
    title: str,
    body: str,
    *,
    style: str = "",
    script: str = "",
    data: object = None,
    policy: Mapping[str, str] | None = None,
) -> str:
    """A whole page.

    Args:
        title: plain text, escaped here.
        body: HTML of what stands in `<main>`; names and texts in it have passed through `escape`.
        style: CSS of this page, after `page.css`.
        script: JavaScript of this page, after `page.js`, which gives it `data`. Without it the page has no script.
        data: what the script reads; anything of JSON.
        policy: more of the Content-Security-Policy, such as {"worker-src": "blob:"}.
    """
    css = asset("page.css") + style
    code = f"{asset('page.js')}{script}" if script else ""
    allowed = {"style-src": _hash(css)} | ({"script-src": _hash(code)} if script else {})
    directives = {"default-src": "'none'", **allowed, "base-uri": "'none'", "form-action": "'none'", **(policy or {})}
    csp = "; ".join(f"{name} {value}" for name, value in directives.items())
    held = f'<script type="application/json" id="data">{script_json(data)}</script>\n' if data is not None else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(csp)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{css}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n{held}"
        + (f"<script>{code}</script>\n" if script else "")
        + "</body>\n</html>\n"
    )


def escape(text: object) -> str:
    """`text` as it can stand between tags or in a quoted attribute; halves of surrogate pairs become U+FFFD."""
    return html.escape(SURROGATES.sub("\ufffd", str(text)))


def script_json(data: object) -> str:
    """`data` as JSON that can stand in a script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return UNSAFE_IN_SCRIPT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def packed(values: Any) -> str:
    """A NumPy array as base64 of its little-endian bytes, which `unpack` of `page.js` reads."""
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def asset(name: str) -> str:
    """The text of a file of this package, such as `page.css`."""
    return resources.files("textgen.pages").joinpath(name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
