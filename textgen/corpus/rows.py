"""What the rows of all tables have in common: their places, what a wrong one costs, and the names of their columns."""

import io
import itertools
from collections.abc import Callable, Iterable, Iterator

from textgen.corpus.decoding import Tally
from textgen.errors import CorpusError
from textgen.messages import followed, nearest, shown

LONGEST_LINE = 1 << 26  # characters of a line, or of a row of JSON
NEAR = 1 << 18  # characters that are read together: their lines and cells stay in the processor's cache
NO_ROWS = "without a row"  # below its header
ASCII_LINE_ENDS = "\r\x0b\x0c\x1c\x1d\x1e"  # besides LF


class Rows:
    """What is odd about the rows of one file; the bad ones end the reading or are left out."""

    def __init__(self, shown_name: str, bad_rows: str, tally: Tally, unit: str = "line"):
        """Args: bad_rows: "error" or "skip"; tally: takes what is odd about them; unit: what places are counted in."""
        self._unit = unit
        self.shown_name = shown_name
        self.tally = tally
        self._skips = bad_rows == "skip"
        self._first_problem = ""

    def wrong(self, line: int, problem: str) -> CorpusError:
        """The error for something in that line, counted from 1."""
        return CorpusError(f"{self._place(line)}: {problem}")

    def bad(self, line: int, problem: str) -> None:
        """Leave out the row that begins in that line. Raises CorpusError where a bad row is an error."""
        if not self._skips:
            raise self.wrong(line, f"{followed(problem, '--bad-rows skip leaves such rows out')}.")
        self._first_problem = self._first_problem or f"{self._place(line)}: {problem}"
        self.tally.meet("bad row", "left out", f"{self._place(line)}: {problem}")

    def note(self, what: str, line: int | None = None, noun: str = "row", times: int = 1) -> None:
        """Note what is odd about the row that begins in that line, or about the table; so many have it."""
        is_first = (noun, what) not in self.tally.met  # of millions, perhaps
        self.tally.meet(
            noun, what, "" if not is_first else self.shown_name if line is None else self._place(line), times
        )

    def finish(self, is_any_good: bool) -> None:
        """The file is over. Raises CorpusError where no row of it was good and some were bad."""
        if self._first_problem and not is_any_good:
            raise CorpusError(f"No row can be read. {self._first_problem}")

    def _place(self, line: int) -> str:
        return f"{self.shown_name}, {self._unit} {line:,}"


def split_names(column: str, is_there: Callable[[str], bool]) -> list[str]:
    """The columns that `column` names: one, or several between commas, each as long a name as there is.

    What is nowhere stays in the list. Spaces around the commas go where the names are without them.
    """
    if "," not in column or is_there(column):
        return [column]
    parts = column.split(",")
    names = []
    while parts:
        lengths = range(len(parts), 0, -1)
        candidates = [(n, name) for n in lengths for name in (",".join(parts[:n]), ",".join(parts[:n]).strip())]
        length, name = next(((n, name) for n, name in candidates if is_there(name)), (1, parts[0].strip()))
        names.append(name)
        del parts[:length]
    return names


def no_column(column: str, columns: Iterable[str]) -> str:
    """The problem that there is no such column, with the nearest and all that there are."""
    known = list(columns)
    if not known:
        return f"there is no column {shown(column)!r}, nor any other"
    hint = nearest(column, known)
    there = "There is only" if len(known) == 1 else "There are"
    return f"there is no column {shown(column)!r}. {f'{hint} ' if hint else ''}{there}: {shown(', '.join(known))}"


def joined(cells: Iterable[str]) -> str:
    """The cells of a row as one document: those that hold something, with a blank line between them."""
    return "\n\n".join(filter(None, cells))


def whole_lines(pieces: Iterable[str], newline: str, rows: Rows) -> Iterator[list[str]]:
    """The lines that end in each piece; `newline` is io.StringIO's: "" ends them at LF and CR, LF only at LF."""
    ends = ("\n",) if newline else ("\n", "\r")
    held: list[str] = []  # parts of the line that goes on
    num_held = num_lines = 0
    for piece in itertools.chain.from_iterable(map(_near, pieces)):
        # Twice as fast as StringIO, but ends lines at all that Unicode calls a line end; beyond ASCII there is more.
        is_plain = piece.isascii() and not any(map(piece.__contains__, ASCII_LINE_ENDS))
        lines = piece.splitlines(keepends=True) if is_plain else io.StringIO(piece, newline=newline).readlines()
        rest = lines.pop() if lines and not lines[-1].endswith(ends) else ""
        if lines and held:
            lines[0] = "".join((*held, lines[0]))
            held, num_held = [], 0
        num_lines += len(lines)
        if rest:
            held.append(rest)
            num_held += len(rest)
        if num_held > LONGEST_LINE:
            raise rows.wrong(num_lines + 1, f"it is longer than {LONGEST_LINE:,} characters")
        yield lines
    if held:
        yield ["".join(held)]


def _near(piece: str) -> Iterator[str]:
    return (piece[start : start + NEAR] for start in range(0, len(piece), NEAR))
