"""Models that come with textgen: found from everywhere, behind a user's own, and never written to."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import make_stored_model, write_stored_model
from damaging import NOTICE, write_full_model, write_run
from plans import TEXT, plan_of

import textgen
from textgen.cli import cli
from textgen.errors import CorpusError, ModelError, TextgenError
from textgen.store import model_directory, shipped
from textgen.store.atomic import sha256_of
from textgen.store.lock import RunLock
from textgen.store.model_directory import find_model, load_model
from textgen.store.verification import verify_model
from textgen.training.plan import make_plan
from textgen.training.request import Request

NOWHERE = Path("/proc/none")  # where even root can make no directory
REFUSED = "english comes with textgen and is not replaced. Use another --name, or another --models-dir"


@pytest.fixture(params=["installed", "checkout"])
def english(request, tmp_path, monkeypatch) -> Path:
    """A tiny model that comes with textgen, inside the package or beside it; the working directory is another."""
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "lib" / "textgen")
    monkeypatch.delenv("TEXTGEN_MODELS_DIR", raising=False)
    place = shipped.PACKAGE if request.param == "installed" else shipped.PACKAGE.parent
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return write_full_model(place / "saved_models", "word", "english")


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout, which is the working directory. Its models directory holds the shipped model and one of a user's."""
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "textgen")
    monkeypatch.delenv("TEXTGEN_MODELS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("english.txt", "novel.txt"):
        Path(name).write_text(TEXT)
    for name in ("english", "novel"):
        write_full_model(tmp_path / "saved_models", "word", name)
    return tmp_path


def state_of(directory: Path) -> dict[Path, object]:
    """What is in a directory, and when anything was made or removed in it."""
    paths = [directory, *directory.rglob("*")]
    return {path: (sha256_of(path) if path.is_file() else path.lstat().st_mtime_ns) for path in paths}


def run(*arguments: object, **options: object) -> Result:
    """`textgen ARGUMENTS` in this process."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], **options)
    if done.exception is not None and not isinstance(done.exception, (TextgenError, SystemExit)):
        raise done.exception
    return done


# ---- found


@pytest.mark.parametrize("models_dir", ["saved_models", NOWHERE])
def test_every_command_finds_it_and_writes_nothing(english, models_dir):
    Path("tale.txt").write_text("the cat sat on the mat")
    before = state_of(Path.cwd().parent)
    for command in (["sample", "english", "-n", 9], ["verify", "english"], ["info", "english"], ["repl", "english"]):
        done = run(*command, "--models-dir", models_dir, input="the cat\n/exit\n")
        assert (done.exit_code, done.stdout != "") == (0, True), done.exception
    done = run("evaluate", "english", "tale.txt", "--models-dir", models_dir)
    assert (done.exit_code, "bits per character" in done.stdout) == (0, True)
    assert textgen.load("english", models_dir=models_dir).path == english == shipped.find("english")
    assert state_of(Path.cwd().parent) == before


def test_another_model_begins_with_it(english):
    Path("novel.txt").write_text(TEXT)
    plan = plan_of("novel.txt", Path("models"), init_from="english", steps=1)
    assert (plan.parent.name, plan.path) == ("english", Path("models/novel"))


@pytest.mark.parametrize("kind", ["finished", "unfinished", "set aside", "damaged"])
def test_a_model_of_the_users_own_comes_first(english, kind):
    own = Path("saved_models", ".english.previous" if kind == "set aside" else "english")
    if kind == "unfinished":
        write_run(own, steps=(3,))
    else:
        write_stored_model(own.parent, make_stored_model(), own.name)
    if kind == "damaged":
        (own / "weights.safetensors").write_bytes(b"")
        with pytest.raises(ModelError, match=r"^saved_models/english/weights\.safetensors is damaged"):
            load_model("english", own.parent)
    else:
        assert load_model("english", own.parent).tokenizer.level == "char"
    assert find_model("english", own.parent) == own


def test_only_its_very_name_finds_it_and_messages_name_it(english):
    write_stored_model(Path("saved_models"), make_stored_model(), "poems")
    for name, advice in (
        ("engl", "Did you mean english?"),
        ("xyz", "There are: poems, english"),
        ("./english", "Did you mean english?"),
        ("saved_models", "There are: poems, english"),
    ):
        with pytest.raises(ModelError) as caught:
            load_model(name, Path("saved_models"))
        assert str(caught.value) == f"no model {name!r} in saved_models. {advice}"
    assert shipped.find("saved_models") is shipped.find("../lib") is None


def test_missing_and_damaged_are_told_apart(english):
    weights = english / model_directory.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError) as caught:
        load_model("english", NOWHERE)
    assert str(caught.value).startswith(f"{weights} is damaged: ")
    assert run("verify", "english").exit_code == 1
    assert shipped.find("english") == english
    english.rename(english.with_name("gone"))
    assert shipped.find("english") is None
    with pytest.raises(ModelError) as caught:
        load_model("english", NOWHERE)
    assert str(caught.value) == (
        "no model 'english' in /proc/none. It comes with textgen, and is missing here. Reinstall textgen"
    )


# ---- shown


def test_it_stands_at_the_end_of_the_list_and_behind_a_model_of_its_name(english):
    done = run("models")
    assert done.stderr == "no models in saved_models. Make one with: textgen train\n"
    assert done.stdout.startswith("english ")
    assert done.stdout.endswith("  comes with textgen\n")
    write_stored_model(Path("saved_models"), make_stored_model(), "zoo")
    (english / "samples.txt").unlink()
    done = run("models")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["zoo", "english"]
    assert "comes" not in done.stdout.splitlines()[0]
    assert "samples.txt" in done.stdout.splitlines()[1]
    assert done.stdout.endswith("  comes with textgen\n")
    write_stored_model(Path("saved_models"), make_stored_model(), "english")
    rows = json.loads(run("models", "--json").stdout)
    assert [(row["name"], row["shipped"]) for row in rows] == [("english", False), ("zoo", False)]


def test_in_a_checkout_it_is_listed_once(checkout):
    rows = json.loads(run("models", "--json").stdout)
    assert [(row["name"], row["shipped"]) for row in rows] == [("novel", False), ("english", True)]
    with pytest.raises(ModelError, match=r"There are: novel, english$"):
        load_model("xyz", Path("saved_models"))


def test_info_ends_with_the_licence_and_the_works(english):
    shown = run("info", "english").stdout
    assert len(NOTICE.text) > 300  # longer than what is shown of a name
    assert shown.endswith(
        f"\nnotice\n  licence                      CC0-1.0\n  {NOTICE.text}\n"
        "\nworks\n  Emma, by Jane Austen\n  The Warden, by A. Trollope\n"
    )
    assert json.loads(run("info", "english", "--json").stdout)["notice"] == NOTICE.to_json()


def test_its_own_texts_do_not_come_with_it(english):
    done = run("evaluate", "english")
    assert isinstance(done.exception, CorpusError)
    assert str(done.exception) == "english comes with textgen, but the texts it learned from do not; name a FILE"


def test_its_export_goes_to_the_working_directory(english, monkeypatch):
    asked = []

    def export_as(kind, stored, path, **_options):
        asked.append((stored.path, path))
        raise ModelError("enough")

    monkeypatch.setattr("textgen.export.formats.export_as", export_as)
    assert str(run("export", "english").exception) == "enough"
    assert asked == [(english, Path("english-savedmodel"))]


# ---- never written to


def refusal_of(request: Request) -> str:
    with pytest.raises(ModelError) as caught, contextlib.ExitStack() as stack:
        make_plan(request, None if request.dry_run else stack.enter_context(RunLock()))
    return str(caught.value)


def requests(models_dir: Path, name: str | None, *sources: str) -> Iterator[Request]:
    """Every way to ask for a run of that name."""
    for dry_run in (False, True):
        for way in ({}, {"overwrite": True}, {"resume": True}):
            yield Request(models_dir, sources, name=name, dry_run=dry_run, **way)


@pytest.mark.parametrize("is_there", [True, False], ids=["there", "missing"])
@pytest.mark.parametrize(
    ("models_dir", "name", "source"),
    [
        ("saved_models", None, "english.txt"),
        ("saved_models", "english", "novel.txt"),
        ("saved_models/", "english", "novel.txt"),
        ("../{tmp}/saved_models/../saved_models", "english", "novel.txt"),
        ("linked", "english", "novel.txt"),
        ("own", "mine", "novel.txt"),  # a link to it
        ("saved_models/english", "inside", "novel.txt"),
    ],
)
def test_no_run_is_written_to_it_by_whatever_name(checkout, models_dir, name, source, is_there):
    english = checkout / "saved_models" / "english"
    Path("linked").symlink_to("saved_models")
    Path("own").mkdir()
    Path("own/mine").symlink_to(english)
    if not is_there:
        english.rename(checkout / "gone")
    before = state_of(checkout)
    for request in requests(Path(models_dir.format(tmp=checkout.name)), name, source):
        if is_there or not (request.resume and name == "inside"):  # of what is not there, nothing can be resumed
            assert refusal_of(request) == REFUSED
    assert state_of(checkout) == before


@pytest.mark.parametrize(
    "name", ["saved_models/english", "./saved_models/english/", "saved_models/english/checkpoints"]
)
def test_a_path_to_it_cannot_be_resumed(checkout, name):
    (checkout / "saved_models" / "english" / "checkpoints").mkdir()
    before = state_of(checkout)
    assert refusal_of(Request(Path("elsewhere"), name=name, resume=True)) == REFUSED
    assert state_of(checkout) == before


def test_a_disk_that_does_not_tell_capitals_apart_is_no_way_in(checkout, monkeypatch):
    monkeypatch.setattr(os.path, "samefile", lambda one, other: os.path.realpath(one).lower() == str(other).lower())
    assert refusal_of(Request(Path("Saved_Models"), ("novel.txt",), name="English", overwrite=True)) == REFUSED


def test_a_checkout_whose_package_is_installed_elsewhere_keeps_its_copy(english):
    copy = Path("saved_models/english")
    shutil.copytree(english, copy)
    before = state_of(copy)
    for overwrite in (False, True):
        with pytest.raises(ModelError) as caught:
            make_plan(Request(Path("saved_models"), (), name="english", init_from="none", overwrite=overwrite))
        assert str(caught.value) == REFUSED
    assert state_of(copy) == before
    assert [row["shipped"] for row in json.loads(run("models", "--json").stdout)] == [True]
    shutil.copytree(copy, "saved_models/mine")
    shipped.check_writable(Path("saved_models/mine"))  # another name is a user's own
    (copy / "manifest.json").write_text("{}")
    shipped.check_writable(copy)  # and so is another model


def test_its_name_is_free_elsewhere(english):
    Path("english.txt").write_text(TEXT)
    with RunLock() as lock:
        assert make_plan(Request(Path("saved_models"), ("english.txt",)), lock).path == Path("saved_models/english")
    with pytest.raises(ModelError) as caught:
        make_plan(Request(Path("saved_models"), ("english.txt",), resume=True))
    assert str(caught.value) == (
        "no model 'english' in saved_models. Make one with: textgen train. To begin a run, leave out --resume"
    )
    assert not shipped.is_shipped(Path("saved_models/english"))
    assert shipped.is_shipped(english)


# ---- the real ones


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_what_is_shipped_is_whole_and_names_its_sources(name, monkeypatch):
    monkeypatch.setattr(shipped, "PACKAGE", Path(textgen.__file__).parent)
    found = verify_model(name, NOWHERE)
    assert [finding for finding in found.findings if finding.problem or finding.note] == []
    record = load_model(name, NOWHERE).record
    assert record.notice is not None
    assert (record.notice.licence, record.notice.text != "") == ("CC0-1.0", True)
    assert len(record.notice.works) > 1
    assert not any(os.path.isabs(source) for source in record.corpus.sources)  # of the machine that it was made on
    assert sum(path.stat().st_size for path in found.path.iterdir()) <= 20 * 2**20
