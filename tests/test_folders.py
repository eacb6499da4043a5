"""Folders: which of their files are read, in which order, and what is said of the others."""

import gzip
import os
from pathlib import Path

import pytest
from small_documents import paragraph, word
from whole_texts import read_corpus, write

from textgen.config import TextConfig
from textgen.corpus import folders, open_corpus
from textgen.errors import CorpusError, SettingError

PNG = b"\x89PNG\r\n\x1a\n\0\0"
MINE = {
    "b.txt": "text",
    "a/z.md": "# text",
    "a/code.py": "x = 1\n",
    "Makefile": "all:\n\techo\n",
    "c/x.tex.gz": gzip.compress(b"text"),
    "c/wide.log": "text".encode("utf-16"),
    "c/old.dat": "caf\xe9 d'\xe9t\xe9".encode("latin-1"),
    "letter.docx": word(paragraph("text")),
    "page.HTML": "<p>text",
    "empty": "",
}
OTHERS = {
    "a/cat.png": PNG,
    "a/dog.PNG": PNG,
    "a/noise.txz": b"\xfd7zXZ\1\2",
    "blob": bytes(range(256)),
    "t.csv": "a,b\n",
    "drawing.svg": "<svg/>",
    "c/x.tar.gz": gzip.compress(bytes(600)),
    ".DS_Store": "text",
    "~$letter.docx": bytes(162),
    ".git/config": "text",
    "node_modules/x/readme.md": "text",
    "c/__pycache__/x.txt": "text",
    "venv/pyvenv.cfg": "text",
    "venv/lib/x.py": "text",
    "saved_models/novel/config.json": "{}",
    "saved_models/novel/weights.safetensors": "x",
    "saved_models/run/metrics.jsonl": "{}",
    "saved_models/run/checkpoints/x.txt": "text",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with the folder `mine`."""
    monkeypatch.chdir(tmp_path)
    for name, content in (MINE | OTHERS).items():
        write(f"mine/{name}", content)
    return tmp_path


def names_of(source: str = "mine", **settings) -> list[str]:
    reader = open_corpus([source], TextConfig(**settings))
    return [os.path.relpath(file.path, source) for file, _ in reader._files]


def message_of(source: str, **settings) -> str:
    with pytest.raises(CorpusError) as caught:
        read_corpus([source], config=TextConfig(**settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_kinds_that_are_not_named_are_counted():
    for number in range(8):
        write(f"many/{number}.x{number}", b"\1\2" * 9)
    assert (
        "many holds nothing to read; left out: 0.x0, 1.x1, 2.x2 and 5 more (1 .x0, 1 .x1, 1 .x2, 1 .x3, 1 .x4, 1 .x5, "
        in (message_of("many"))
    )
    assert ", 2 others). Name the files" in message_of("many")
    Path("many/7.x7").unlink()
    assert ", 1 other). Name the files" in message_of("many")


def test_all_that_is_text_is_read_in_the_order_of_the_paths_and_the_rest_is_said():
    assert names_of() == sorted(MINE) == names_of(f"{Path('mine').resolve()}/")
    (line,) = open_corpus(["mine"], TextConfig()).left_out
    assert line == (
        "left out of mine: a/cat.png, a/dog.PNG, a/noise.txz and 4 more (2 .png, 1 .txz, 1 without an ending, 1 .tar, "
        "1 .svg, 1 .csv), node_modules/, venv/, saved_models/novel/, 2 more folders, 3 hidden; "
        "--column NAME reads tables"
    )


def test_with_a_column_the_tables_are_read():
    write("mine/d/u.JSONL.gz", gzip.compress(b'{"a": "x"}'))
    assert names_of(column="a") == ["d/u.JSONL.gz", "t.csv"]


PATTERNS = {
    "an ending": ({"include": ("*.py",)}, ["a/code.py"]),
    "several": ({"include": ("*.py", "*.md")}, ["a/code.py", "a/z.md"]),
    "what would be left out": ({"include": ("*.csv", "*.svg")}, ["drawing.svg", "t.csv"]),
    "what is hidden or made by others": ({"include": ("node_modules/*.md", ".DS_Store")},
        [".DS_Store", "node_modules/x/readme.md"]),
    "all below a folder": ({"include": ("a/**/*.py", "./c/"), "exclude": ("*.gz",)},
        ["a/code.py", "c/old.dat", "c/wide.log"]),
    "all that is hidden": ({"include": (".*",)}, [".DS_Store", ".git/config"]),
    "a path": ({"include": ("a/*",), "exclude": ("*.[pP][nN][gG]", "*.txz")}, ["a/code.py", "a/z.md"]),
    "as shells write it": ({"include": ("./**/*.txt",)}, ["b.txt"]),
    "of what is compressed": ({"include": ("*.tex",)}, ["c/x.tex.gz"]),
    "a folder": ({"exclude": ("a", "c/")}, ["Makefile", "b.txt", "empty", "letter.docx", "page.HTML"]),
    "names in folders": ({"include": ("*.md", "*.py"), "exclude": ("code.*",)}, ["a/z.md"]),
    "a case that is another": ({"include": ("*.html",), "exclude": ("B.TXT",)}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", PATTERNS)
def test_patterns_choose_the_files(case):
    settings, expected = PATTERNS[case]
    if expected is None:
        assert "mine holds no file that --include *.html names" in message_of("mine", **settings)
    else:
        assert names_of(**settings) == expected


def test_what_patterns_leave_out_is_counted():
    reader = open_corpus(["mine"], TextConfig(include=("*.txt", "*.md"), exclude=("a",)))
    (line,) = reader.left_out
    assert line.endswith("3 hidden, 1 name by --exclude, 11 files that --include does not name")


@pytest.mark.parametrize("patterns", [("",), ("/",), ("a", "\udcff"), "*.py"])
def test_a_pattern_that_fits_nothing_is_wrong_usage(patterns):
    with pytest.raises(SettingError, match="`exclude`"):
        TextConfig(exclude=patterns)


def test_a_folder_without_text_says_what_it_holds():
    write("tables/a.csv", "a,b\n")
    write("tables/b.tsv", "a\tb\n")
    assert message_of("tables") == (
        "tables holds tables, and no text; left out: a.csv, b.tsv; --column NAME reads tables. "
        "Name the files to read instead."
    )
    write("none/.x", "")
    assert message_of("none") == "none holds nothing to read; left out: 1 hidden. Name the files to read instead."
    Path("bare").mkdir()
    assert message_of("bare") == "bare holds nothing to read. Name the files to read instead."


def test_what_is_no_file_is_left_out_and_no_link_to_a_folder_is_followed():
    os.mkfifo("mine/pipe")
    os.symlink("nowhere", "mine/broken.txt")
    os.symlink("../mine", "mine/again")
    os.symlink("b.txt", "mine/link.txt")
    assert names_of() == sorted([*MINE, "link.txt"])


def test_a_folder_of_a_whole_disk_is_refused(monkeypatch):
    monkeypatch.setattr(folders, "MOST_FILES", 5)
    assert message_of("mine") == "mine holds more than 5 files. Name a folder in it."
    assert message_of("/") == "/ is a whole disk. Name a folder in it."


def test_an_older_model_finds_the_files_that_it_learned_from():
    """Its config says nothing of files; it took *.txt of a folder, or tables, and read the markup of pages."""
    write("mine/B.TXT", "text")
    new = TextConfig(level="char", include=("*.md",)).to_json()
    assert TextConfig.from_json(new).include == ("*.md",)
    old = {name: value for name, value in new.items() if name not in ("include", "exclude", "file_format")}
    config = TextConfig.from_json(old)
    assert [path for path in names_of(**_of(config))] == ["B.TXT", "b.txt"]
    assert read_corpus(["mine/page.HTML"], config=config).text == "<p>text"
    assert names_of(**_of(TextConfig.from_json(old | {"column": "a"}))) == ["t.csv"]


def _of(config: TextConfig) -> dict:
    return {name: getattr(config, name) for name in ("include", "exclude", "file_format", "column")}
