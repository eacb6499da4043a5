"""The wheel: every package and the starter corpus travel in it."""

import configparser
import tomllib
from pathlib import Path

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
