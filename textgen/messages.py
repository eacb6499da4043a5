"""How things are said to people: text that is harmless on a terminal, near misses, plurals, and JSON for programs.

Names, paths and texts come from files of unknown origin. A control character in one of them would move the cursor,
rename the window or type for the reader.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

LONGEST_SHOWN = 300
UNPRINTABLE = re.compile(r"[^ -~]")

PICTURES = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
PICTURES |= {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}


def shown(text: object, longest: int = LONGEST_SHOWN) -> str:
    """`text` as part of a one-line message: escaped where a character is not printable, cut to `longest` characters."""
    line = str(text)
    line = line if line.isprintable() else ascii(line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def visible(text: str) -> str:
    """`text` with every control character except tab and newline as its picture."""
    return text.translate(PICTURES)


def json_line(document: Any) -> str:
    """`document` as JSON on one line of printable characters; it reads back as the same value."""
    return UNPRINTABLE.sub(_escaped, json.dumps(document, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]


def counted(number: int, noun: str) -> str:
    """A number and its noun: `1 file`, `3,000 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def few(lines: list[str], most: int = 3) -> list[str]:
    """The first `most` of `lines`, and how many more there are."""
    return lines[:most] + ([f"and {len(lines) - most:,} more"] if len(lines) > most else [])


def nearest(name: str, candidates: Iterable[str]) -> str:
    """A question such as `Did you mean novel.txt?`, or nothing when no candidate is near."""
    matches = difflib.get_close_matches(name, list(candidates), n=2, cutoff=0.5)
    return f"Did you mean {' or '.join(map(shown, matches))}?" if matches else ""


Advance = Callable[[int, int], None]  # told what is done and what there is to do, both in bytes or both in tokens


def unwatched(done: int, to_do: int) -> None:
    """The `Advance` of a task that nobody watches."""
