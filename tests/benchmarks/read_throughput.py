"""Reading corpora, beside another version of textgen: bytes on disk to blocks of text.

    git worktree add ../before c5ea159
    python tests/benchmarks/read_throughput.py --before ../before

Each version reads the same made files in a process of its own, in turns. Figures are MB/s and the median of the ratios
of each round. `decoding` leaves out the disk and the hash over its bytes.
"""

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import contest

MEGABYTES = 16
TURN_SECONDS = 0.6
ENGLISH = 'It was a bright cold day in April, and the clocks were striking "thirteen".'
RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему."
QUOTED = ENGLISH.replace('"', '""')
KINDS: dict[str, tuple[str, str]] = {  # ending of the file's name, and what it repeats
    "ASCII, decoding": ("txt", f"{ENGLISH}\n"),
    "Russian, decoding": ("txt", f"{RUSSIAN}\n"),
    "ASCII": ("txt", f"{ENGLISH}\n"),
    "Russian": ("txt", f"{RUSSIAN}\n"),
    "Russian, CRLF": ("txt", f"{RUSSIAN}\r\n"),
    "ASCII, each line a document": ("txt", f"{ENGLISH}\n"),
    "CSV": ("csv", f'7,"{QUOTED}",x\n'),
    "CSV, cells of several lines": ("csv", f'7,"{QUOTED}\n{QUOTED}\n\n{QUOTED}",x\n'),
    "TSV": ("tsv", f"7\t{ENGLISH}\tx\n"),
    "JSON Lines": ("jsonl", json.dumps({"id": 7, "text": ENGLISH, "n": 1}) + "\n"),
}
HEADERS = {"csv": "id,text,n\n", "tsv": "id\ttext\tn\n"}


def prepare(setting: dict) -> Callable[[], int]:
    """What reads the file of `setting` once and returns its bytes."""
    if setting["before"] is not None and sys.argv[2] == "before":
        sys.path.insert(0, setting["before"])
    from textgen.config import TextConfig
    from textgen.corpus import open_corpus
    from textgen.corpus.decoding import Tally, iter_text

    path = Path(setting["path"])
    num_bytes = path.stat().st_size
    if setting["kind"].endswith("decoding"):
        content = path.read_bytes()

        def decode() -> int:
            for _ in iter_text(io.BytesIO(content), "made", TextConfig().encoding, Tally()):
                pass
            return num_bytes

        return decode
    column = None if path.suffix == ".txt" else "text"
    documents = "line" if setting["kind"] == "ASCII, each line a document" else "whole"
    reader = open_corpus([str(path)], TextConfig(column=column, documents=documents))

    def read() -> int:
        for _ in reader.blocks():
            pass
        return num_bytes

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="folder of the other version")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--only", default="", help="only the kinds whose name contains this")
    options = parser.parse_args()
    print(f"{'file':<30}{'before':>9}{'now':>9}{'ratio':>8}")
    for kind, (ending, repeated) in KINDS.items():
        if options.only not in kind:
            continue
        with tempfile.TemporaryDirectory(prefix="textgen-benchmark-") as directory:
            path = Path(directory) / f"made.{ending}"
            times = int(MEGABYTES * 1e6 / len(repeated.encode()))
            path.write_bytes((HEADERS.get(ending, "") + repeated * times).encode())
            setting = {"path": str(path), "kind": kind, "before": options.before}
            results = contest.compete(__file__, ("before", "now"), setting, {}, options.rounds)
        if len(results) == 2:
            before, now = (results[name]["tokens_per_second"] / 1e6 for name in ("before", "now"))
            ratio = contest.ratios(results, "now")["before"]
            print(f"{kind:<30}{before:>9,.0f}{now:>9,.0f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    contest.TURN_SECONDS = TURN_SECONDS
    if not contest.serve({"before": prepare, "now": prepare}):
        main()
