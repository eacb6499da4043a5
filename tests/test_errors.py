"""The errors a user can cause, and the exit status of each."""

import inspect
import pickle

import pytest

from textgen import errors
from textgen.errors import FormatError, SettingError, TextgenError, TextgenWarning, WrongTypeError
from textgen.training.signals import Stopped

ALL = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if not issubclass(cls, Warning)]


def test_wrong_usage_exits_with_2_and_everything_else_with_1():
    assert {cls.__name__: cls.exit_status for cls in ALL} == {
        "CorpusError": 1,
        "DownloadError": 1,
        "ExportError": 1,
        "FormatError": 1,
        "CheckpointError": 1,
        "DeadEndError": 1,
        "ModelError": 1,
        "SettingError": 2,
        "TextgenError": 1,
        "TokenizerError": 1,
        "TrainingError": 1,
        "WorkerError": 1,
        "WrongTypeError": 2,
    }


def test_a_wrong_setting_is_a_value_error_to_a_python_program():
    with pytest.raises(ValueError, match="out of range"):
        raise SettingError("out of range")
    with pytest.raises(TypeError, match="no number"):
        raise WrongTypeError("no number")


@pytest.mark.parametrize(
    "error",
    [Stopped(2), FormatError("novel/config.json", 1, 2), *(cls("why") for cls in ALL if cls is not FormatError)],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_another_process_arrives_as_it_was(error):
    """A pool of processes waits for ever for one that cannot be unpickled."""
    other = pickle.loads(pickle.dumps(error))
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


def test_a_notice_can_be_told_from_other_warnings():
    assert issubclass(TextgenWarning, UserWarning)
    assert "seen by " in TextgenWarning.__doc__.lower()


@pytest.mark.parametrize("cls", ALL)
def test_every_error_has_the_common_base_and_says_who_sees_it(cls):
    assert issubclass(cls, TextgenError)
    assert "seen by " in cls.__doc__.lower()
