"""What this user's textgen signed is known again, by this user alone, whatever stands at the key's place."""

import os
import secrets
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from textgen.store import signature
from textgen.store.signature import KEY, KEY_BYTES, signature_of

IN_THE_WAY = {
    "a pipe": os.mkfifo,
    "a directory": os.mkdir,
    "a text": lambda path: path.write_text("somebody else's"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(KEY),
    "nothing": lambda path: None,
}


@pytest.fixture
def key(tmp_path, monkeypatch) -> Path:
    """Where the key lies, or would lie."""
    monkeypatch.setenv("TEXTGEN_STATE_DIR", str(tmp_path))
    signature._key.cache_clear()
    return tmp_path / KEY


def test_a_signature_is_of_the_user_the_name_and_the_content(key, tmp_path, monkeypatch):
    signed = signature_of("name", b"content")
    signature._key.cache_clear()  # as in another process
    assert signature_of("name", b"content") == signed
    monkeypatch.setenv("TEXTGEN_STATE_DIR", str(tmp_path / "another user"))
    others = {signature_of("name", b"content")}
    monkeypatch.undo()
    assert len({signed, *others, signature_of("name", b"other"), signature_of("nam", b"econtent")}) == 4


def test_the_key_is_for_its_owner_alone(key):
    before = os.umask(0o022)
    signature_of("name", b"content")
    os.umask(before)
    assert (stat.S_IMODE(key.stat().st_mode), key.stat().st_size) == (0o600, KEY_BYTES)


def test_two_that_make_the_key_at_once_have_the_same_one(key, monkeypatch):
    both_draw, first_is_done, draw = threading.Barrier(2, timeout=30), threading.Event(), secrets.token_bytes

    def token_bytes(count):
        if count == KEY_BYTES:
            both_draw.wait()
            if threading.current_thread() is not threading.main_thread():
                first_is_done.wait(30)
        return draw(count)

    monkeypatch.setattr(secrets, "token_bytes", token_bytes)
    made = signature._key.__wrapped__  # as another process calls it
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(made, key)
        first = made(key)
        first_is_done.set()
        assert first == second.result() == key.read_bytes()
    assert os.listdir(key.parent) == [KEY]


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_whatever_is_in_the_way_a_process_knows_its_own(key, what):
    IN_THE_WAY[what](key)
    assert signature_of("name", b"content") == signature_of("name", b"content")
    if what in ("a text", "a link to nothing", "nothing"):  # a key is put there
        assert (key.is_symlink(), key.stat().st_size) == (False, KEY_BYTES)


def test_a_place_that_cannot_be_written_costs_the_memory_alone(monkeypatch):
    monkeypatch.setenv("TEXTGEN_STATE_DIR", "/proc/none")
    assert signature_of("name", b"content") == signature_of("name", b"content")
