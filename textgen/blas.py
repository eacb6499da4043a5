"""How NumPy's OpenBLAS is set up. It reads its variables when NumPy is imported; what a user has set stands."""

import os

CPU_FACTS = "/proc/cpuinfo"  # of Linux
HEAD = 8192  # bytes of it that hold the first core's
SKYLAKE = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}  # what its kernels need


def set_up_blas() -> None:
    """Set what suits a process that writes texts, before NumPy is imported."""
    # Its threads wait for work by turning round and round, by default for a tenth of a second after each text.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")  # the logarithm of processor cycles
    # OpenBLAS 0.3.31 gives an AMD processor that it does not know the kernels of Haswell. Those of SkylakeX multiply
    # 8 rows with `english` in less than half of the time on one of family 26.
    if "OPENBLAS_CORETYPE" not in os.environ and _is_amd_with_avx512():
        os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"


def _is_amd_with_avx512() -> bool:
    try:
        with open(CPU_FACTS, encoding="utf-8", errors="replace") as file:
            lines = file.read(HEAD).splitlines()
    except OSError:
        return False
    facts = dict(reversed([(name.strip(), value) for name, _, value in (line.partition(":") for line in lines)]))
    return facts.get("vendor_id", "").strip() == "AuthenticAMD" and set(facts.get("flags", "").split()) >= SKYLAKE
