"""The flags of `textgen sample` that hold text: what a backslash in them means."""

import json

import pytest
from click.testing import CliRunner
from conftest import make_stored_model, write_stored_model

from textgen.cli.sample import sample
from textgen.errors import SettingError


def sampled(*arguments: str, **options: str) -> str:
    result = CliRunner().invoke(sample, ["tiny", "-n", "200", *arguments], **options)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_stored_model(tmp_path / "saved_models", make_stored_model(symbols="\t\n \\abn"))


def test_stop_and_delimiter_are_typed_as_in_a_conversation_and_a_prompt_is_literal(model):
    whole = sampled()
    assert "\n" in whole[:-1]
    assert "\t" in whole
    assert sampled("--stop", r"\n") == whole[: whole.index("\n")] + "\n"
    assert sampled("--stop", r"\t", "--stop", r"\\\n") == whole[: whole.index("\t")] + "\n"
    several = sampled("--num-samples", "2", "--sample-delimiter", r"\n\t\\n<>\n", "--stop", r"\n")
    assert several.count("\n\t\\n<>\n") == 1
    assert sampled("--num-samples", "2").count("\n---\n") == 1
    assert sampled("-p", r"\nb\\").startswith(r"\nb\\")
    assert sampled("-p", r"\nb\\\a", "--escapes").startswith("\nb\\\\a")
    assert json.loads(sampled("--stop", r"a\nb", "--json"))["settings"]["stop"] == ["a\nb"]


@pytest.mark.parametrize("arguments", [["-f", "opening.txt"], ["-p", "-"], []])
def test_escapes_are_for_a_prompt_that_is_typed(model, arguments):
    with pytest.raises(SettingError, match="--escapes is for the text of --prompt"):
        sampled("--escapes", *arguments)


@pytest.mark.parametrize("flag", ["-f", "-p"])
def test_a_prompt_can_come_from_standard_input(model, flag):
    assert sampled(flag, "-", input="ab") == sampled("-p", "ab")


def test_a_prompt_that_is_not_utf_8_is_refused(model):
    result = CliRunner().invoke(sample, ["tiny", "-p", "It\udce9"])
    assert result.exit_code == 2
    assert "'-p' / '--prompt': it is not UTF-8: byte 0xE9 at character 3. Give it in a file." in result.stderr


@pytest.mark.parametrize("prompt", ["", "b"])
@pytest.mark.parametrize("flag", ["-f", "--prompts"])
def test_a_prompt_and_a_file_of_one_are_too_many_even_an_empty_one(model, prompt, flag):
    with pytest.raises(SettingError, match="give one of --prompt, --file and --prompts"):
        sampled("-p", prompt, flag, "opening.txt")


def test_the_help_of_a_flag_says_all_that_it_takes():
    shown = CliRunner().invoke(sample, ["--help"]).stdout
    assert "--seed INTEGER|random" in shown
    assert "--temperature FLOAT[,FLOAT...]" in shown


def test_bans_temperatures_and_a_seed_are_read_as_they_are_written(model):
    flags = ["--ban", r"\n", "--ban", "[a-b]", "-t", "1,0", "-n", "200"]
    result = CliRunner().invoke(sample, ["tiny", "--seed", "random", "--json", *flags])
    document = json.loads(result.stdout)
    assert document["settings"]["temperature"] == [1.0, 0.0]
    assert document["settings"]["ban"] == ["\n", "[a-b]"]
    assert f"the seed is {document['seed']}\n" in result.stderr
    assert not set("\nabAB") & set(document["completion"])
    assert sampled("--seed", str(document["seed"]), *flags) == document["completion"] + "\n"
    assert json.loads(sampled("-t", "0.5", "--json"))["settings"]["temperature"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-t", "1,x"], "'1,x' is not a number, or several as 1.0,0.5."),
        (["-t", "1,"], "'1,' is not a number, or several as 1.0,0.5."),
        (["--seed", "Random"], "'Random' is not a whole number, or random."),
        (["--typical", "0"], "`typical` must be above 0"),
        (["--frequency-penalty", "-2.5"], "`frequency_penalty` must be at least -2"),
        (["--min-length", "201"], "`min_length` must be at most `length=200`"),
        (["--ban", ""], "`ban` must not be empty"),
        (["--ban", "[^x]"], "`ban` leaves nothing that the model could write"),
    ],
)
def test_a_rule_that_cannot_be_is_one_line_and_writes_nothing(model, arguments, message):
    result = CliRunner().invoke(sample, ["tiny", "-n", "200", "-p", "ab", *arguments])
    assert message in (str(result.exception) if isinstance(result.exception, SettingError) else result.stderr)
    assert result.stdout == ""


def test_why_a_text_ended_is_told_behind_it(model):
    result = CliRunner().invoke(sample, ["tiny", "-n", "99", "--no-repeat-ngram", "1", "--num-samples", "2"])
    said = "textgen: a text ends early: whatever could follow is banned, repeated or copied\n"
    assert (result.stderr, result.output) == (2 * said, result.stdout + 2 * said)


def test_a_constraint_is_kept_and_recorded(model):
    found = json.loads(sampled("--regex", r"a[abn]{3}\t?", "--must-include", "abba", "--json"))
    assert found["completion"] in ("abba", "abba\t")
    assert found["finish_reason"] == "match"
    assert (found["settings"]["regex"], found["settings"]["must_include"]) == (r"a[abn]{3}\t?", ["abba"])
    assert sampled("-p", "nnn", "--must-include", "b", "--regex", ".b") in ("nnn\tb\n", "nnn b\n", "nnn\\b\n")
    several = sampled("--regex", "n{3}(a|b)", "--num-samples", "3").split("\n---\n")
    assert all(text.strip() in ("nnna", "nnnb") for text in several)


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--num-samples", "2"], ["-o", "out.txt"]])
def test_what_cannot_be_written_is_said_before_anything_is(model, arguments, tmp_path):
    result = CliRunner().invoke(sample, ["tiny", "-n", "3", "-p", "bab", "--regex", "n{9}", *arguments])
    assert isinstance(result.exception, SettingError)
    assert str(result.exception) == (
        "`regex` cannot be met in `length=3`: it takes 9 characters. Give at least `length=9`"
    )
    assert result.stdout == ""
    assert not (tmp_path / "out.txt").exists()
