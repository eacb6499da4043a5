"""Bytes that do not fit an encoding: the marks that stand in their place, and what is said of them."""

import codecs
import dataclasses
import unicodedata

from textgen.errors import CorpusError
from textgen.messages import counted, harmless, shown

AUTO = "auto"  # the encoding that is to be found
ERRORS = "textgen.mark"  # the error handler that puts marks in the place of what does not fit
MARK = "\udc80"  # stands for the first byte of a sequence that does not fit, MARK_ON for every other
MARK_ON = "\udc81"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return MARK + MARK_ON * (error.end - error.start - 1), error.end


codecs.register_error(ERRORS, _mark)


@dataclasses.dataclass
class Decoding:
    """How the bytes of one file become text: what was asked for, and what was found."""

    encoding: str  # "auto" finds it
    errors: str = "strict"
    hints: tuple[str, ...] = ()  # encodings that other texts of the user are in
    found: str = ""  # the encoding, once it is known
    piece: str = ""  # of the text as it is read, where the encoding is a guess
    declared: str = ""  # the encoding that a page declares and is not in
    num_strays: int = 0  # sequences that do not fit it, where there are known to be some

    @property
    def known(self) -> str:
        """The encoding that was named or found; "auto" where it is not known yet."""
        return self.found or self.encoding


def unfit(error: UnicodeDecodeError, shown_name: str, encoding: str, decoding: Decoding, where: str) -> CorpusError:
    """The error for a byte that does not fit the encoding."""
    if "BOM" in error.reason:
        return invalid(shown_name, encoding, error)
    if decoding.encoding != AUTO:
        return CorpusError(
            f"{shown_name} is not {encoding.upper()}: {where}. Leave --encoding out, and it is found; "
            "or --encoding-errors replace or skip reads the rest."
        )
    if encoding != "utf-8":
        piece = f", as in “{decoding.piece}”" if decoding.piece else ""
        return CorpusError(
            f"{shown_name} was taken for {encoding}{piece}, but is not: {where}. "
            "--encoding-errors replace or skip reads the rest; or name another --encoding."
        )
    if not decoding.num_strays:
        return CorpusError(f"{shown_name} is not UTF-8: {where}. Name its encoding: --encoding NAME.")
    strays = counted(decoding.num_strays, "stray byte") + (", the first" if decoding.num_strays > 1 else ":")
    return CorpusError(
        f"{shown_name} is UTF-8 with {strays} {where}{_as_windows(error)}. "
        "--encoding-errors replace reads \ufffd there, skip leaves it out."
    )


def invalid(shown_name: str, encoding: str, error: UnicodeError) -> CorpusError:
    """The codecs utf-16 and utf-32 insist on a byte-order mark; rare ones give no place."""
    if encoding in ("utf-16", "utf-32"):
        return CorpusError(
            f"{shown_name} is not {encoding.upper()}: there is no byte-order mark at its start. "
            f"Leave --encoding out, and it is found; or name {encoding}-le or {encoding}-be."
        )
    return CorpusError(
        f"{shown_name} is not {encoding.upper()}: {shown(error)}. Leave --encoding out, and it is found."
    )


def _as_windows(error: UnicodeDecodeError) -> str:
    """What a stray byte amid UTF-8 would be in Windows-1252, with the text around it."""
    content, start = error.object, error.start
    character = content[start : start + 1].decode("cp1252", "replace")
    if "end of data" in error.reason:
        return ", where a character is cut"
    if character == "\ufffd":
        return ""
    before = content[max(0, start - 12) : start].decode("utf-8", "ignore").lstrip("\ufeff").splitlines()
    after = content[start + 1 : start + 16].decode("utf-8", "replace").splitlines()
    piece = "".join([*before[-1:], character, *after[:1]]).strip()
    name = character if character.isprintable() else f"a {unicodedata.name(character, 'control').lower()}"
    return f", which is {name} in cp1252 (“{harmless(piece)}”)"
