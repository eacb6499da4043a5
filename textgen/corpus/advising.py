"""What is said of a file by a command that has no flags for how files are read, as for a prompt or a text to look in.

What reads files advises the flags of `train`. Here that advice gives way to what can be done with any command.
"""

import contextlib
import re
from collections.abc import Iterator

from textgen.config import TextConfig
from textgen.errors import CorpusError
from textgen.messages import followed
from textgen.schema import flag_of, names_of

FLAGS = sorted(map(flag_of, names_of(TextConfig)), reverse=True)  # the longer of two with one beginning first
FLAG = re.compile(rf"(?:{'|'.join(FLAGS)})\b")
SENTENCE_END = re.compile(r"[.?!] ")
CLAUSE_END = re.compile(r"; ")
INSTEAD = (  # of advice that begins so, or names such a flag first
    (re.compile(r"Leave out --column"), "Give a table, as the corpus of the model was."),
    (re.compile(r"--bad-rows"), "Mend that row."),
    (re.compile(r"--encoding"), "Save it as UTF-8."),
    (re.compile(r""), "Save its text alone, as a .txt file."),
)


def without_flags(message: str) -> str:
    """An error without advice of flags: the sentence that names the first of them is replaced, a clause left out."""
    if not (flag := FLAG.search(message)):
        return message
    start = max((end.end() for end in SENTENCE_END.finditer(message, 0, flag.start())), default=0)
    clause = max((end.start() for end in CLAUSE_END.finditer(message, start, flag.start())), default=0)
    if clause:
        end = SENTENCE_END.search(message, flag.start())
        rest = message[end.end() :] if end else ""
        kept = message[:clause]
        if rest or kept[start:].startswith("Save "):
            return without_flags(followed(kept, rest) if rest else f"{kept}.")
    else:
        kept = message[:start].rstrip()
    advice = message[flag.start() if clause else start :]
    instead = next(instead for pattern, instead in INSTEAD if pattern.match(advice) or pattern.match(flag[0]))
    return followed(kept, instead) if kept else instead


def note_without_flags(note: str) -> str:
    """A note without the clauses that name flags."""
    return "; ".join(clause for clause in note.split("; ") if not FLAG.search(clause))


@contextlib.contextmanager
def no_flags() -> Iterator[None]:
    """Let no error of reading name flags."""
    try:
        yield
    except CorpusError as problem:
        problem.args = (without_flags(str(problem)), *problem.args[1:])
        raise
