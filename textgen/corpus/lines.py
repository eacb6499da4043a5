"""Whether the lines of a text are a list: names, titles, headlines, one a line, in no order that matters.

What else has short lines is known by its marks. Verse ends lines with commas and stands in stanzas. Wrapped prose has
lines that are nearly all as long as the longest, and begins them small and large by chance. Code is indented, and chats
and logs begin lines with a name or a time.
"""

import numpy as np

from textgen.config import END_OF_DOCUMENT

FEWEST_LINES = 10
LONGEST_MEAN, LONGEST_USUAL = 80, 160  # characters: of the lines on average, and of 19 in 20 of them
MOST_DUPLICATES = 0.5
MOST_BLANK = 0.05  # of the lines; more of them part stanzas, unless they stand behind every line
MOST_IN_STANZA = 1.5  # lines, where there are many blank ones
MOST_ENDED = 0.3  # share of lines that end like a clause
CLAUSE_ENDS = ".,;:\u2026\u2014-\u3002\uff0c\uff1b\uff1a\u3001\u061b\u060c\u06d4\u0964{}(<>=\\|*+&"
MOST_INDENTED = 0.1
MOST_SPEAKERS = 0.5  # share of lines with a colon or a bracket near their beginning
SPEAKER_ENDS, LONGEST_SPEAKER = ":>]\uff1a\u3011", 24
MIXED = (0.15, 0.85)  # share of small letters at the beginning of lines, where nobody chose it
FEWEST_WRAPPED, AS_LONG, MOST_AS_LONG = 40.0, 0.85, 0.65  # wrapped: so many characters; of the longest; share of lines
COUNTED_LENGTHS = 1024


class LineKinds:
    """Counts what tells a list from another text, block by block.

    A line that is cut between two blocks counts as two: blocks are long.
    """

    def __init__(self) -> None:
        self.lengths = np.zeros(COUNTED_LENGTHS, np.int64)  # how many lines are so long; the last holds the rest
        self.characters = self.stanzas = self.spaces = 0
        self.ended = self.indented = self.speakers = 0
        self.small = self.large = 0

    def add(self, block: str) -> None:
        """Count the lines of the next block; the end of a document counts as a line end."""
        block = block.replace(END_OF_DOCUMENT, "\n")
        if not block:
            return
        points = np.frombuffer(block.encode("utf-32-le"), "<u4")
        ends = np.flatnonzero(points == ord("\n"))
        if block[-1:] != "\n":
            ends = np.append(ends, len(points))
        starts = np.append(0, ends[:-1] + 1)
        lengths = ends - starts
        self.lengths += np.bincount(np.minimum(lengths, COUNTED_LENGTHS - 1), minlength=COUNTED_LENGTHS)
        is_line = lengths > 0
        self.stanzas += int((is_line & np.append(True, ~is_line[:-1])).sum())
        starts, ends = starts[is_line], ends[is_line]
        self.characters += int(lengths.sum())
        self.spaces += block.count(" ")
        self.ended += int(np.isin(points[ends - 1], _points(CLAUSE_ENDS)).sum())
        self.indented += int(np.isin(points[starts], _points(" \t")).sum())
        is_mark = np.zeros(len(points), bool)
        for mark in filter(block.__contains__, SPEAKER_ENDS):
            is_mark |= points == ord(mark)
        marks = np.flatnonzero(is_mark)
        if len(starts) and len(marks):
            lines = np.searchsorted(starts, marks, "right") - 1
            self.speakers += len(np.unique(lines[marks - starts[lines] <= LONGEST_SPEAKER]))
        firsts, times = np.unique(points[starts], return_counts=True)
        for first, count in zip(map(chr, firsts.tolist()), times.tolist(), strict=True):
            self.small += count * (first.lower() == first != first.upper())
            self.large += count * (first.upper() == first != first.lower())

    def is_list(self, duplicates: int) -> bool:
        """Whether the lines are short and different ones, each for itself.

        Args:
            duplicates: how many of them stand earlier too.
        """
        num_blank = int(self.lengths[0])
        num_lines = int(self.lengths.sum()) - num_blank
        if num_lines < FEWEST_LINES:
            return False
        mean = self.characters / num_lines
        lengths = np.where(np.arange(COUNTED_LENGTHS) > 0, self.lengths, 0)
        usual = int(np.searchsorted(np.cumsum(lengths), 0.95 * num_lines))  # 19 in 20 lines are no longer
        as_long = lengths[int(AS_LONG * usual) :].sum() / num_lines
        small = self.small / max(1, self.small + self.large)
        has_stanzas = num_blank > MOST_BLANK * num_lines and num_lines > MOST_IN_STANZA * self.stanzas
        is_wrapped = mean >= FEWEST_WRAPPED and as_long > MOST_AS_LONG
        is_cut = self.spaces > 2 * num_lines and self.small + self.large > num_lines / 2 and MIXED[0] < small < MIXED[1]
        return (
            mean <= LONGEST_MEAN
            and usual <= LONGEST_USUAL
            and duplicates <= MOST_DUPLICATES * num_lines
            and self.ended <= MOST_ENDED * num_lines
            and self.indented <= MOST_INDENTED * num_lines
            and self.speakers <= MOST_SPEAKERS * num_lines
            and not (has_stanzas or is_wrapped or is_cut)
        )


def _points(symbols: str) -> np.ndarray:
    return np.array([ord(symbol) for symbol in symbols], np.uint32)
