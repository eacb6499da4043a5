"""The wheel: every package, the starter corpus, the licence and the models that are named travel in it."""

import configparser
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from damaging import write_full_model

from textgen.store.manifest import MANIFEST
from textgen.store.model_directory import MODEL_FILES
from textgen.store.shipped import SHIPPED

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "textgen"
FILES = (*MODEL_FILES, MANIFEST)  # of a finished model


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg")
    return parser


def test_setup_cfg_lists_every_package():
    found = {"textgen." + str(f.parent.relative_to(PACKAGE)).replace("/", ".") for f in PACKAGE.rglob("*/__init__.py")}
    assert (
        set(setup_cfg()["options"]["packages"].split())
        == {"textgen", "textgen.corpora", "textgen.saved_models"} | found
    )


def test_the_starter_corpus_travels_as_package_data():
    assert "textgen.corpora = corpora" in setup_cfg()["options"]["package_dir"].splitlines()
    assert (REPOSITORY / "corpora" / "chronicles.txt").stat().st_size >= 120_000


def test_keras_is_new_enough_for_its_security_fixes():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert "keras>=3.15.1" in project["dependencies"]


def test_the_licence_is_mit_and_its_text_travels():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    (path,) = project["license-files"]
    text = (REPOSITORY / path).read_text()
    assert text.startswith("MIT License\n\nCopyright (c) 2026 the textgen authors\n")
    assert "Permission is hereby granted, free of charge" in text
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in text


def test_no_model_of_a_users_travels():
    """Nothing but packages and what is named as their data goes into a wheel; of saved_models, each file by name."""
    options, data = setup_cfg()["options"], setup_cfg()["options.package_data"]
    assert options["package_dir"].split("\n")[1:] == [
        f"textgen.{name} = {name}" for name in ("corpora", "saved_models")
    ]
    assert "include_package_data" not in options
    assert {name: data[name] for name in data if name != "textgen.saved_models"} == {
        "textgen": "py.typed",
        "textgen.corpora": "*.txt",
        "textgen.pages": "*.css, *.js",
    }
    assert data["textgen.saved_models"].split() == [f"{name}/{f}" for name in SHIPPED for f in FILES]
    assert not list(REPOSITORY.glob("MANIFEST.in"))
    assert not list((REPOSITORY / "saved_models").glob("*.py"))


@pytest.mark.slow
def test_a_wheel_carries_the_models_that_are_named_and_runs_them(tmp_path):
    """Whether or not they are in the tree yet: a tiny one stands in their place."""
    tree, site = tmp_path / "tree", tmp_path / "site"
    for name in ("textgen", "corpora"):
        shutil.copytree(REPOSITORY / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, tree)
    for name in (*SHIPPED, "novel"):
        path = write_full_model(tree / "saved_models", name=name)
        (path / "checkpoints").mkdir()
        (path / "checkpoints" / "config.json").touch()
        (path / "mine.txt").touch()
        (path / "mine.json").touch()
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, tree]
    subprocess.run(build, check=True)
    with zipfile.ZipFile(*tmp_path.glob("textgen-*.whl")) as wheel:
        names = set(wheel.namelist())
        wheel.extractall(site)
    models = {name for name in names if "saved_models" in name}
    assert models == {f"textgen/saved_models/{name}/{file}" for name in SHIPPED for file in FILES}
    assert {"textgen/corpora/chronicles.txt", "textgen/LICENSE", "textgen/py.typed"} <= names
    assert {"textgen/pages/page.css", "textgen/pages/page.js"} <= names
    assert {name for name in names if name.startswith(("novel", "corpora", "saved_models"))} == set()
    command = [sys.executable, "-m", "textgen", "sample", SHIPPED[0], "-p", "the", "-n", "9"]
    environment = os.environ | {"PYTHONPATH": str(site), "TEXTGEN_MODELS_DIR": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, len(done.stdout)) == (0, "", len("the") + 9 + 1)


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [
        ("README.md", True),
        (".gitignore", True),
        *((f"{name}/{file}", True) for name in SHIPPED for file in FILES),
        (".english.lock", False),
        ("novel/config.json", False),
        ("novel/english/config.json", False),
        ("novel/README.md", False),
        ("x", False),
    ],
)
def test_git_keeps_the_page_about_models_and_those_that_come_with_textgen(name, is_kept):
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "check-ignore", "--quiet", "--no-index", f"saved_models/{name}"]
    done = subprocess.run(command, cwd=REPOSITORY, check=False)
    assert done.returncode == (1 if is_kept else 0)
