"""Commands for how to go on: next pieces and whole turns to choose from, and how far."""

import re

from textgen.generation.alternatives import MOST as MOST_PIECES
from textgen.messages import shown, unescape, visible
from textgen.repl.layout import side_by_side
from textgen.repl.reach import MAX_MARK, MAX_WORDS, Reach
from textgen.repl.session import CommandError, Session

FEW_PIECES, FEW_VARIANTS, MOST_VARIANTS = 5, 3, 20


def number_in(command: str, argument: str, default: int | None, most: int) -> int:
    """The number from 1 to `most` that a command was given. Raises CommandError."""
    number = int(argument) if re.fullmatch("[0-9]{1,9}", argument) else default if not argument else None
    if number is None or not 1 <= number <= most:
        what = f"Received: {shown(argument, 40)}" if argument else "Received nothing"
        raise CommandError(f"{command} expects a number from 1 to {most:,}. {what}")
    return number


def show_alternatives(session: Session, argument: str) -> None:
    """Show the likeliest next pieces, to choose from."""
    found = session.next_pieces(number_in("/alt", argument, FEW_PIECES, MOST_PIECES))
    lines = []
    for number, (text, probability, is_whole) in enumerate(found.pieces, 1):
        piece = _on_one_line(text) + ("" if is_whole else "…")
        lines.append(f"{number:>2}  {_percent(probability)}  {piece}")
    if found.end >= min((piece.probability for piece in found.pieces), default=0.0) and found.end:
        lines.append(f"    {_percent(found.end)}  (the text ends here)")
    session.show("\n".join(lines))
    session.notice("A number takes one; anything else goes on as ever.")


def show_variants(session: Session, argument: str) -> None:
    """Write several next turns, and show them to choose from."""
    texts = session.variants(number_in("/variants", argument, FEW_VARIANTS, MOST_VARIANTS))
    labels = [str(number) for number in range(1, len(texts) + 1)]
    session.show("\n".join(side_by_side(labels, [text or "(nothing)" for text in texts], session.columns())))
    session.notice("A number takes one; anything else goes on as ever.")


def go_on_words(session: Session, argument: str) -> None:
    """Let the model write so many words, once; text behind the number is added first."""
    number, _, text = argument.partition(" ")
    session.continue_with(unescape(text.strip()), Reach(words=number_in("/words", number, None, MAX_WORDS)))


def go_on_to(session: Session, argument: str) -> None:
    """Let the model write until a text comes, once; text behind a quoted one is added first."""
    mark, text = argument, ""
    if argument[:1] in ("'", '"'):
        mark, closing, text = argument[1:].partition(argument[0])
        if not closing:
            raise CommandError(f"a quote is not closed. Received: {shown(argument, 40)}")
    mark = unescape(mark)
    if not 1 <= len(mark) <= MAX_MARK:
        raise CommandError(f'/to expects the text to go on to, 1 to {MAX_MARK:,} characters, as in /to "."')
    session.continue_with(unescape(text.strip()), Reach(to=mark))


def _percent(probability: float) -> str:
    return f"{probability:>6.1%}" if probability >= 0.0005 else " <0.1%"


def _on_one_line(piece: str) -> str:
    """A piece with its space, as in the text; line ends and tabs as they would be typed."""
    line = visible(piece).replace("\n", "\\n").replace("\t", "\\t")
    return line if line.strip() else f'"{line}"'
