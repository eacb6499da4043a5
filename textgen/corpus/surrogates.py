"""Halves of surrogate pairs, which are not text, and stand for the ends of documents here."""

from collections.abc import Iterable, Iterator

from textgen.errors import CorpusError


def check_pieces(pieces: Iterable[str], shown_name: str) -> Iterator[str]:
    """The same pieces. Raises CorpusError at half of a surrogate pair, which is not text.

    Only encodings such as utf-7 and unicode_escape let one through.
    """
    num_characters = 0
    for piece in pieces:
        if (place := find_surrogate(piece)) >= 0:
            raise CorpusError(
                f"{shown_name} holds half of a surrogate pair (U+{ord(piece[place]):04X} at character "
                f"{num_characters + place:,}). Convert it to UTF-8, and leave --encoding out."
            )
        num_characters += len(piece)
        yield piece


def find_surrogate(text: str) -> int:
    """Where the first half of a surrogate pair stands in `text`; -1 where there is none."""
    if text.isascii():
        return -1
    try:
        text.encode("utf-8")
        return -1
    except UnicodeEncodeError as error:
        return error.start
