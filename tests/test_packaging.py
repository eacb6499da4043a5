"""The wheel: every package, the starter corpus and the licence travel in it, and no model does."""

import configparser
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "textgen"


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg")
    return parser


def test_setup_cfg_lists_every_package():
    found = {"textgen." + str(f.parent.relative_to(PACKAGE)).replace("/", ".") for f in PACKAGE.rglob("*/__init__.py")}
    assert set(setup_cfg()["options"]["packages"].split()) == {"textgen", "textgen.corpora"} | found


def test_the_starter_corpus_travels_as_package_data():
    assert setup_cfg()["options"]["package_dir"].split() == ["textgen.corpora", "=", "corpora"]
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
    """Nothing but packages and what is named as their data goes into a wheel, and no package lies in saved_models."""
    options = setup_cfg()["options"]
    assert "saved_models" not in options["package_dir"] + options["packages"]
    assert "include_package_data" not in options
    assert dict(setup_cfg()["options.package_data"]) == {"textgen": "py.typed", "textgen.corpora": "*.txt"}
    assert not list(REPOSITORY.glob("MANIFEST.in"))


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [("README.md", True), (".gitignore", True), ("novel/config.json", False), ("novel/README.md", False), ("x", False)],
)
def test_git_keeps_no_model_but_the_page_about_them(name, is_kept):
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "check-ignore", "--quiet", "--no-index", f"saved_models/{name}"]
    done = subprocess.run(command, cwd=REPOSITORY, check=False)
    assert done.returncode == (1 if is_kept else 0)
