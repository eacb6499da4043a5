"""The errors a user can cause, and the exit status of each."""

import inspect

import pytest

from textgen import errors
from textgen.errors import SettingError, TextgenError

ALL = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)]


def test_wrong_usage_exits_with_2_and_everything_else_with_1():
    assert {cls.__name__: cls.exit_status for cls in ALL} == {
        "CorpusError": 1,
        "DownloadError": 1,
        "ExportError": 1,
        "FormatError": 1,
        "CheckpointError": 1,
        "ModelError": 1,
        "SettingError": 2,
        "TextgenError": 1,
        "TokenizerError": 1,
        "TrainingError": 1,
    }


def test_a_wrong_setting_is_a_value_error_to_a_python_program():
    with pytest.raises(ValueError, match="out of range"):
        raise SettingError("out of range")


@pytest.mark.parametrize("cls", ALL)
def test_every_error_has_the_common_base_and_says_who_sees_it(cls):
    assert issubclass(cls, TextgenError)
    assert "seen by " in cls.__doc__.lower()
