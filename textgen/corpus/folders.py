"""From a folder to the files of it that are read: all that is text, in one order, and what was left out.

Documents and files with a text's ending are taken by their name. What else there is has to look like text in its first
bytes. Left out are hidden files and folders, what others made (`node_modules`, `__pycache__`, environments, models of
ours), tables where no column is wanted, and binary files. `--include` replaces this choice, `--exclude` narrows it.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from textgen.config import TextConfig
from textgen.corpus import columnar, compression
from textgen.corpus.compression import uncompressed
from textgen.corpus.decoding import unreadable
from textgen.corpus.formats import BY_ENDING, EXTRA, is_installed
from textgen.corpus.formats.telling import HEAD_BYTES, is_text
from textgen.corpus.tables import TABLE_FORMATS
from textgen.errors import CorpusError
from textgen.messages import counted, shown
from textgen.store.model_directory import CHECKPOINTS, CONFIG, METRICS, WEIGHTS
from textgen.store.opening import SpecialFileError, open_regular

TEXT_ENDINGS = ("txt", "text", "md", "markdown", "rst", "tex", "org", "adoc")
PICTURES = ("svg", "eps", "ps")  # which are made of text
MADE_BY_OTHERS = ("node_modules", "__pycache__", "CVS", "__MACOSX")
HIDDEN = (".", "~$")  # the second is what Word writes beside a document that is open
ENVIRONMENT = "pyvenv.cfg"  # in the folder of a Python environment
MOST_FILES = 100_000
MOST_KINDS, MOST_NAMES = 6, 3  # that a line names


@dataclasses.dataclass
class LeftOut:
    """What of a folder is not read: files by their ending, and folders."""

    endings: Counter[str] = dataclasses.field(default_factory=Counter)
    names: list[str] = dataclasses.field(default_factory=list)
    folders: list[str] = dataclasses.field(default_factory=list)
    hidden: int = 0
    by_include: int = 0
    by_exclude: int = 0
    num_tables: int = 0
    libraries: dict[str, str] = dataclasses.field(default_factory=dict)  # endings, by which the missing one is had

    def add(self, name: str) -> None:
        """A file that is not read by our choice."""
        ending = ending_of(name)
        self.endings[f".{ending}" if ending else "without an ending"] += 1
        self.names.append(name)

    def line(self, folder: Path) -> str:
        """What is said of it; nothing where nothing was left out."""
        parts = [shown(name) for name in self.names[:MOST_NAMES]]
        if (num_more := len(self.names) - MOST_NAMES) > 0:
            parts[-1] += f" and {num_more:,} more ({', '.join(self._counts())})"
        parts += [f"{shown(name)}/" for name in self.folders[:MOST_NAMES]]
        if len(self.folders) > MOST_NAMES:
            parts.append(f"{len(self.folders) - MOST_NAMES:,} more folders")
        parts += [f"{self.hidden:,} hidden"] if self.hidden else []
        parts += [f"{counted(self.by_exclude, 'name')} by --exclude"] if self.by_exclude else []
        parts += [f"{counted(self.by_include, 'file')} that --include does not name"] if self.by_include else []
        return f"left out of {shown(folder)}: {', '.join(parts)}{self.advice()}" if parts else ""

    def _counts(self) -> list[str]:
        """How many files there are of each kind."""
        most = self.endings.most_common(MOST_KINDS)
        counts = [f"{number:,} {ending}" for ending, number in most]
        others = self.endings.total() - sum(number for _, number in most)
        return counts + ([counted(others, "other")] if others else [])

    def advice(self) -> str:
        """How to read some of it."""
        ways = ["--column NAME reads tables"] if self.num_tables else []
        for extra in sorted(set(self.libraries.values())):
            endings = sorted(ending for ending, needed in self.libraries.items() if needed == extra)
            ways.append(f"{extra} reads {' and '.join(endings)}")
        return "".join(f"; {way}" for way in ways)


def find_files(folder: Path, config: TextConfig) -> tuple[list[str], str]:
    """POSIX paths of the files of a folder, relative to it and sorted, and a line on what was left out.

    Raises:
        CorpusError: there is nothing to read, or a folder is closed to us.
    """
    if os.path.realpath(folder) == os.path.realpath(os.sep):
        raise CorpusError(f"{shown(folder)} is a whole disk. Name a folder in it.")
    left_out = LeftOut()
    names = []
    for name in sorted(_walk(folder, config, left_out)):
        if _is_wanted(folder, name, config, left_out):
            names.append(name)
    line = left_out.line(folder)
    if not names:
        what = "tables, and no text" if left_out.num_tables else "nothing to read"
        if config.include is not None:
            what = f"no file that --include {shown(' '.join(config.include))} names"
        elif config.column is not None:
            *others, last = (f"*.{name}" for name in TABLE_FORMATS)
            what = f"no {', '.join(others)} or {last} file"
        reason = f"; left out: {line.partition(': ')[2]}" if line else ""
        raise CorpusError(f"{shown(folder)} holds {what}{reason}. Name the files to read instead.")
    return names, line


def ending_of(name: str) -> str:
    """`md` of `notes/A.MD.gz`; nothing where there is none."""
    return os.path.splitext(uncompressed(name))[1].lower().removeprefix(".")


def _walk(folder: Path, config: TextConfig, left_out: LeftOut) -> Iterator[str]:
    """All files below `folder` that are not left out with the folder they are in; links to folders are not followed."""
    waiting, num_files = [""], 0
    while waiting:
        parent = waiting.pop()
        path = os.path.join(folder, parent) if parent else str(folder)
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise unreadable(shown(path), error) from error
        for entry in entries:
            name = f"{parent}{entry.name}"
            if entry.name.startswith(HIDDEN) and not _is_named(name, config.include):
                left_out.hidden += 1
            elif entry.is_dir(follow_symlinks=False):
                if _matches(name, config.exclude):
                    left_out.by_exclude += 1
                elif _is_foreign(entry) and not _is_named(name, config.include):
                    left_out.folders.append(name)
                else:
                    waiting.append(f"{name}/")
            elif entry.is_file():
                num_files += 1
                if num_files > MOST_FILES:
                    raise CorpusError(f"{shown(folder)} holds more than {MOST_FILES:,} files. Name a folder in it.")
                yield name
            elif entry.is_dir():
                left_out.folders.append(name)
            else:  # a pipe, a device, a link that leads nowhere
                left_out.add(name)


def _is_foreign(entry: os.DirEntry[str]) -> bool:
    """Whether a folder holds what others made, or what we did: a model or a run, which grows while it learns."""
    has = {
        name: os.path.exists(os.path.join(entry.path, name))
        for name in (ENVIRONMENT, CONFIG, WEIGHTS, METRICS, CHECKPOINTS)
    }
    is_model = (has[CONFIG] and has[WEIGHTS]) or (has[METRICS] and has[CHECKPOINTS])
    return entry.name in MADE_BY_OTHERS or has[ENVIRONMENT] or is_model


def _is_wanted(folder: Path, name: str, config: TextConfig, left_out: LeftOut) -> bool:
    if _matches(name, config.exclude):
        left_out.by_exclude += 1
        return False
    if config.include is not None:
        is_wanted = _matches(name, config.include)
        left_out.by_include += not is_wanted
        return is_wanted
    ending = ending_of(name)
    if not compression.is_installed(name):
        left_out.libraries[".zst"] = compression.EXTRA
        left_out.add(name)
        return False
    is_table = ending in (*TABLE_FORMATS, *columnar.ENDINGS)
    if config.column is not None or is_table:
        is_wanted = is_table and config.column is not None
        if is_wanted and ending in columnar.ENDINGS and not columnar.is_installed():
            left_out.libraries[f".{ending}"] = columnar.EXTRA
            is_wanted = False
        left_out.num_tables += is_table and config.column is None
    elif ending in BY_ENDING:
        is_wanted = is_installed(BY_ENDING[ending])
        left_out.libraries |= {} if is_wanted else {f".{ending}": EXTRA}
    else:
        is_wanted = ending in TEXT_ENDINGS or (ending not in PICTURES and _begins_with_text(folder / name))
    if not is_wanted:
        left_out.add(name)
    return is_wanted


def _begins_with_text(path: Path) -> bool:
    """Whether the first bytes of a file are text's. Raises CorpusError where it cannot be read."""
    try:
        with open_regular(path) as file:
            kind = compression.kind_of(b"any", path.name)  # what is compressed under another name is not taken
            return is_text(compression.decompressed(kind, file, shown(path)).read(HEAD_BYTES))
    except (SpecialFileError, *compression.DAMAGED):
        return False
    except OSError as error:
        raise unreadable(shown(path), error) from error


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern fits a file or folder, or names a folder that it is in.

    It fits the path in the folder or, where the pattern has no slash, the name.
    """
    for pattern in patterns:
        wanted = pattern.removeprefix("./").removeprefix("**/").rstrip("/")
        ways = [wanted, wanted.replace("/**/", "/")]  # `**` may stand for no folder
        forms = [name, uncompressed(name)]
        forms += [] if "/" in wanted else [form.rpartition("/")[2] for form in forms]
        if any(fnmatchcase(form, way) for form in forms for way in ways) or name.startswith(f"{wanted}/"):
            return True
    return False


def _is_named(name: str, patterns: Sequence[str] | None) -> bool:
    """Whether a pattern names what is usually left out, as `.github/*` and `.*` do."""
    own = name.rpartition("/")[2]
    parts = {part for pattern in patterns or () for part in pattern.split("/")}
    is_hidden = any(fnmatchcase(own, part) for part in parts if part.startswith("."))
    return is_hidden or own in parts or any(pattern.startswith(f"{name}/") for pattern in patterns or ())
