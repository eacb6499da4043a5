"""The bytes of a file as they pass: counted and hashed, on one core or with the help of another."""

import hashlib
import io
import subprocess
import sys

import pytest

from textgen import cores
from textgen.corpus import passing
from textgen.corpus.passing import LEAST_SHARED, PassingBytes

CONTENT = bytes(range(256)) * (LEAST_SHARED // 64)  # four large blocks


@pytest.mark.parametrize("num_cores", [1, 2])
@pytest.mark.parametrize("size", [1000, LEAST_SHARED, LEAST_SHARED + 1, -1])
def test_the_hash_is_that_of_all_bytes_however_they_are_read(monkeypatch, num_cores, size):
    asked, other_core = [], cores.other_core
    monkeypatch.setattr(passing, "available_cores", lambda: num_cores)
    monkeypatch.setattr(cores, "other_core", lambda: asked.append(size) or other_core())
    file = PassingBytes(io.BytesIO(CONTENT))
    blocks = list(iter(lambda: file.read(size), b""))
    assert b"".join(blocks) == CONTENT
    assert (file.num_bytes, file.digest()) == (len(CONTENT), hashlib.sha256(CONTENT).digest())
    assert bool(asked) == (num_cores > 1 and size != 1000)


def test_the_hash_is_known_in_between_too():
    file = PassingBytes(io.BytesIO(CONTENT))
    for end in (LEAST_SHARED, 2 * LEAST_SHARED):
        file.read(LEAST_SHARED)
        assert file.digest() == file.digest() == hashlib.sha256(CONTENT[:end]).digest()


LATE = """
import hashlib, io, threading
from textgen.corpus import passing

passing.available_cores = lambda: 2

def read_late():
    main_thread.join()
    file = passing.PassingBytes(io.BytesIO(content))
    while file.read(passing.LEAST_SHARED):
        pass
    print(file.digest() == hashlib.sha256(content).digest())

content = bytes(4 * passing.LEAST_SHARED)
main_thread = threading.current_thread()
threading.Thread(target=read_late).start()
"""


@pytest.mark.parametrize("before", ["", "from textgen.cores import other_core; other_core().submit(int).result()"])
def test_a_thread_that_outlives_the_main_one_reads_on(before):
    result = subprocess.run([sys.executable, "-c", before + LATE], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("True\n", "")
