"""How things are said to people, and typed by them: text that is harmless on a terminal, near misses, plurals, and
JSON for programs.

Names, paths and texts come from files of unknown origin. A control character in one of them would move the cursor,
rename the window or type for the reader. An override of the writing direction would show what is not there, a character
without a width would hide what is.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

LONGEST_SHOWN = 300
UNPRINTABLE = re.compile(r"[^ -~]")

PICTURES = {code: 0x2400 + code for code in range(0x20)}
PICTURES |= {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}
PICTURES_IN_TEXT = {code: picture for code, picture in PICTURES.items() if chr(code) not in "\t\n"}

# What shows nothing and moves, joins or hides what stands around it: marks, overrides and isolates of the direction,
# characters without a width, tags; and the halves of surrogate pairs, which stand for the bytes of undecodable names.
FORMATS = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
JOINERS = (
    "\u200b\u200c\u200d"  # Persian, Khmer and the scripts of India are not spelled without them, nor is many an emoji
)
MARKS = "\u00ad\u061c\u200e\u200f"  # a place to break a word; the direction of a comma in Hebrew or Arabic


def shown(text: object, longest: int = LONGEST_SHOWN) -> str:
    """`text` as part of a one-line message: escaped where a character is not printable, cut to `longest` characters."""
    line = str(text)
    line = line if line.isprintable() else ascii(line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def harmless(message: object) -> str:
    """`message` as one line for people: control characters as pictures, what shows nothing as escapes."""
    return FORMATS.sub(lambda match: _escape(match[0]), str(message).translate(PICTURES))


def visible(text: str, before: str = "") -> str:
    """`text` that a model or somebody wrote, harmless on a terminal and as readable as it was.

    Control characters except tab and newline become pictures. Overrides and isolates of the direction, tags and what
    has no width become escapes. Joiners stay where a script needs them: after a letter, accent or symbol beyond the
    Latin, Greek and Cyrillic ones.

    Args:
        before: the character that was shown before `text`, if any.
    """

    def shown_as(match: re.Match[str]) -> str:
        import unicodedata  # noqa: PLC0415

        character, place = match[0], match.start()
        previous = text[place - 1] if place else before
        is_joining = character in JOINERS and previous >= "\u0590" and unicodedata.category(previous)[0] in "LMS"
        return character if is_joining or character in MARKS else _escape(character)

    return FORMATS.sub(shown_as, text.translate(PICTURES_IN_TEXT))


def _escape(character: str) -> str:
    return ascii(character)[1:-1]


def json_line(document: Any) -> str:
    """`document` as JSON on one line of printable characters; it reads back as the same value."""
    return UNPRINTABLE.sub(_escaped, json.dumps(document, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]


def unescape(line: str) -> str:
    r"""What somebody typed, with `\n`, `\t` and `\\` as a new line, a tab and a backslash; other backslashes stay."""
    symbols = {"n": "\n", "t": "\t", "\\": "\\"}
    return re.sub(r"\\([nt\\])", lambda match: symbols[match[1]], line)


def counted(number: int, noun: str) -> str:
    """A number and its noun: `1 file`, `3,000 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def clock(seconds: float) -> str:
    """`1:05`, or `2:01:05` from an hour on."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def in_words(bits: float) -> str:
    """A figure with what it means."""
    return f"how well it predicts: {bits:.2f} bits per character, lower is better"


def few(lines: list[str], most: int = 3) -> list[str]:
    """The first `most` of `lines`, and how many more there are."""
    return lines[:most] + ([f"and {len(lines) - most:,} more"] if len(lines) > most else [])


def nearest(name: str, candidates: Iterable[str], without: Callable[[str], str] = str) -> str:
    """A question such as `Did you mean novel.txt?`, or nothing when no candidate is near.

    One that begins with the name is nearer than any that does not.

    Args:
        without: what of a name is compared, as a file's name without its ending, which half of all files share.
    """
    import difflib  # noqa: PLC0415

    known: dict[str, list[str]] = {}
    for candidate in candidates:
        known.setdefault(without(candidate), []).append(candidate)
    given = without(name)
    begun = [key for key in known if len(given) > 1 and key.startswith(given)]
    near = begun or difflib.get_close_matches(given, list(known), n=2, cutoff=0.5)
    matches = sorted((one for key in near for one in known[key]), key=lambda one: -_likeness(name, one))[:2]
    return f"Did you mean {' or '.join(map(shown, matches))}?" if matches else ""


def _likeness(one: str, other: str) -> float:
    import difflib  # noqa: PLC0415

    return difflib.SequenceMatcher(None, other, one).ratio()


def followed(sentence: str, other: str) -> str:
    """One sentence after another, with a full stop between them unless the first has a mark of its own."""
    return f"{sentence}{' ' if sentence.endswith(('.', '?', '!')) else '. '}{other}"


Advance = Callable[[int, int], None]  # told what is done and what there is to do, both in bytes or both in tokens


def unwatched(done: int, to_do: int) -> None:
    """The `Advance` of a task that nobody watches."""
