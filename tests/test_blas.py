"""NumPy's BLAS takes the kernels that suit the processor."""

import os
import subprocess
import sys

import pytest

from textgen import blas

INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512f avx512cd avx512bw avx512dq avx512vl\n"
AMD = INTEL.replace("GenuineIntel", "AuthenticAMD")
ZEN_3 = AMD.replace(" avx512f", "")
REPORT = (
    "from textgen.blas import set_up_blas; set_up_blas(); import numpy, threadpoolctl as t; print(t.threadpool_info())"
)


@pytest.mark.parametrize(
    ("facts", "stated", "expected"),
    [
        (AMD, None, "SkylakeX"),
        (AMD + "\n" + INTEL, None, "SkylakeX"),
        (AMD, "Zen", "Zen"),
        (INTEL, None, None),
        (ZEN_3, None, None),
        ("", None, None),
        (None, None, None),  # no such file, as on a Mac
    ],
)
def test_amd_processors_with_avx_512_take_its_kernels(facts, stated, expected, tmp_path, monkeypatch):
    for name, value in (("OPENBLAS_CORETYPE", stated), ("OPENBLAS_THREAD_TIMEOUT", None)):
        monkeypatch.setenv(name, "")  # so that it is as it was after the test
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    if facts is not None:
        (tmp_path / "cpuinfo").write_text(facts)
    monkeypatch.setattr(blas, "CPU_FACTS", str(tmp_path / "cpuinfo"))
    blas.set_up_blas()
    assert os.environ.get("OPENBLAS_CORETYPE") == expected
    assert os.environ["OPENBLAS_THREAD_TIMEOUT"] == "14"


@pytest.mark.skipif(not blas._is_amd_with_avx512(), reason="needs an AMD processor with AVX-512")
def test_numpy_takes_them():
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    done = subprocess.run([sys.executable, "-c", REPORT], env=environment, capture_output=True, text=True, check=True)
    assert "'architecture': 'SkylakeX'" in done.stdout
