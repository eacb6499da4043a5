"""The named corpora, the two that are always there, and the commands that list and describe them."""

import collections
import json
import subprocess
import sys
import types
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from whole_texts import read_corpus, whole

from textgen.cli.corpora import corpora
from textgen.corpus import catalogue, open_entry
from textgen.corpus.catalogue import CATALOGUE, Download, find_entry, python_docs, starter_path
from textgen.corpus.connection import DEFAULT_BASE_URL, check_url
from textgen.corpus.names import model_name
from textgen.errors import CorpusError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path))
    return tmp_path / "corpora"


def run(*arguments: str):
    return CliRunner().invoke(corpora, arguments, catch_exceptions=False)


# ---- the catalogue


def test_every_entry_can_name_a_model_and_every_download_is_pinned_to_a_commit_and_a_hash():
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE) == 7
    for entry in CATALOGUE:
        assert model_name(entry.name) == entry.name
        assert entry.description
        assert entry.language
        assert entry.license
    for download in (entry.download for entry in CATALOGUE if entry.download):
        check_url(DEFAULT_BASE_URL + download.url_path)
        owner, repository, commit, *file = urlsplit(download.url_path).path.strip("/").split("/")
        assert owner
        assert repository
        assert file
        assert len(bytes.fromhex(commit)) == 20
        assert len(bytes.fromhex(download.sha256)) == 32
        assert download.bytes > 100_000


def test_an_unknown_name_is_told_the_nearest_or_all_of_them():
    with pytest.raises(CorpusError, match=r"^No corpus is called tiny-shakspere\. Did you mean tiny-shakespeare\?$"):
        find_entry("tiny-shakspere")
    with pytest.raises(CorpusError, match="There are: chronicles, python-docs, "):
        find_entry("xyzzy")


def test_the_starter_corpus_is_long_plain_prose_that_never_repeats_itself():
    content = starter_path().read_bytes()
    text = content.decode("ascii")
    assert len(text) >= 120_000
    assert "\r" not in text
    paragraphs = collections.Counter(p.strip() for p in text.split("\n\n"))
    repeated = [p for p, count in paragraphs.items() if count > 1 and len(p.split()) > 3]  # `"Yes."` may come back
    assert repeated == []


def test_the_starter_corpus_is_found_inside_a_package_first_and_beside_it_otherwise(tmp_path, monkeypatch):
    package = tmp_path / "site" / "textgen"
    for folder in (package / "corpora", package.parent / "corpora"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(catalogue, "PACKAGE", package)
    with pytest.raises(CorpusError, match="Reinstall textgen"):
        starter_path()
    beside = package.parent / "corpora" / "chronicles.txt"
    beside.write_text("beside")
    assert starter_path() == beside
    (package / "corpora" / "chronicles.txt").write_text("inside")
    assert read_corpus([]).text == "inside"


def test_the_python_docs_are_every_topic_in_order_under_its_name(monkeypatch):
    assert len(python_docs()) > 100_000
    assert read_corpus(["python-docs"]) == whole(open_entry(find_entry("python-docs")))
    topics = {"while": 'The "while" statement\n', "assert": "\nThe assertion"}
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", types.SimpleNamespace(topics=topics))
    assert python_docs() == 'assert\n======\n\nThe assertion\n\nwhile\n=====\n\nThe "while" statement\n'


def test_a_python_without_its_docs_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(CorpusError, match="comes without pydoc_data"):
        read_corpus(["python-docs"])


# ---- the commands


def test_the_list_is_an_aligned_table_on_stdout():
    lines = run("list").stdout.splitlines()
    assert len(lines) == 1 + len(CATALOGUE)
    column = lines[0].index("description")
    for line, entry in zip(lines[1:], CATALOGUE, strict=True):
        assert line.startswith(entry.name + " ")
        assert line[column:] == entry.description
    assert [line.split()[1] for line in lines if line.startswith("war-and-peace")] == ["3,258,246"]


def test_the_list_as_json_says_what_is_here_and_what_can_be_fetched():
    documents = {document["name"]: document for document in json.loads(run("list", "--json").stdout)}
    assert documents["chronicles"]["bytes"] == starter_path().stat().st_size
    assert (documents["chronicles"]["built_in"], documents["chronicles"]["cached"]) == (True, True)
    assert documents["names"] == {
        "name": "names",
        "description": "32,033 first names, one per line",
        "language": "English",
        "license": "MIT",
        "bytes": 228_145,
        "sha256": "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
        "url": "https://raw.githubusercontent.com/karpathy/makemore/988aa59e4d8fefa526d06f3b453ad116258398d4/names.txt",
        "built_in": False,
        "cached": False,
    }


def test_the_list_still_lists_when_the_starter_corpus_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path)
    line = run("list").stdout.splitlines()[1]
    assert line.split()[:2] == ["chronicles", "missing"]


def test_info_describes_a_text_for_people_and_for_programs(tmp_path, monkeypatch):
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "chronicles.txt").write_bytes(b"aab\r\n")
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path)
    document = json.loads(run("info", "chronicles", "--json").stdout)
    assert (document["bytes"], document["characters"], document["symbols"]) == (5, 4, 3)
    assert document["most_common"] == [["a", 2], ["\n", 1], ["b", 1]]
    lines = run("info", "chronicles").stdout.splitlines()
    assert "unigram     1.500 bits per character" in lines
    assert r"frequent    'a' 50.0%, '\n' 25.0%, 'b' 25.0%" in lines
    assert "note        1 CRLF line end turned into LF" in lines


def test_info_of_a_text_that_is_not_here_gives_the_catalogue_and_says_how_to_fetch_it():
    result = run("info", "nietzsche", "--json")
    assert json.loads(result.stdout)["bytes"] == 600_901
    assert "characters" not in json.loads(result.stdout)
    assert "Run: textgen corpora fetch nietzsche" in result.stderr
    assert "Beyond Good and Evil" in run("info", "nietzsche").stdout


def test_info_of_a_fetched_text_is_of_the_cached_file_and_not_of_a_neighbour(cache, tmp_path, monkeypatch):
    content = b"emma\nolivia\n"
    digest = "8104bc91a3b553fa2fd58a8a3fbc3599753256a8b9891319e7c9c157ba186b60"
    entry = replace(find_entry("names"), download=Download("/names.txt", len(content), digest))
    monkeypatch.setattr(catalogue, "CATALOGUE", (entry,))
    cache.mkdir()
    (cache / "names.txt").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names").write_text("a file of the same name")
    assert json.loads(run("info", "names", "--json").stdout)["lines"] == 2


def test_fetching_a_built_in_text_says_that_it_is_there():
    result = run("fetch", "chronicles", "--json")
    assert result.stderr == "chronicles is built in: there is nothing to fetch.\n"
    assert json.loads(result.stdout)["path"] is None


def test_importing_the_commands_imports_nothing_heavy():
    code = (
        "import sys, textgen.cli.corpora; print(*{'numpy', 'rich', 'urllib.request', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
