"""`textgen serve` against a server that writes each request in a thread of its own, and against the engine alone.

    python tests/benchmarks/serve_throughput.py
    python tests/benchmarks/serve_throughput.py --only english

Both servers have the same NumPy engine, each in a process of its own, and take turns; both put what is written within
16 ms into one event. The clients run in this process, on the same cores: each sends a request and reads its text as
server-sent events. "engine" writes one text after the other without HTTP. `2x128` has two layers of 128 units, random
weights and 65 symbols; `english` comes with textgen. Figures are medians of the rounds: tokens per second over all
streams, the ratios of each round, tokens per second of the CPU that the process takes, which depend less on what else
the machine does, and the time until the first piece of a text has arrived.
"""

import argparse
import asyncio
import functools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))  # of the tests, whose models are made in a moment
SYMBOLS = "\n " + "".join(map(chr, range(60, 123)))
SETTINGS = {"2x128": (1, 8, 32, 128), "english": (1, 8)}  # streams
LENGTH = {"2x128": 500, "english": 60}  # tokens of a text
PAUSE = 0.016


@functools.cache
def generator_of(name: str, models_dir: str) -> Any:
    from textgen.generation.generator import open_generator
    from textgen.store.model_directory import load_model

    return open_generator(load_model(name, Path(models_dir)))


def pieces(generator: Any, prompt: str, seed: int, length: int) -> Iterator[str]:
    """A text of so many tokens, as it is written."""
    from textgen.config import SamplingConfig
    from textgen.generation.ending import Ending

    config = SamplingConfig(length=length, ignore_eod=True, seed=seed, temperature=1.0)
    ending = Ending(generator.tokenizer, config, most_tokens=length)
    for block in generator.blocks(generator.read(prompt), config, np.array([0])):
        yield ending.feed(block[:, 0])
        if ending.is_over:
            return


class Threads(BaseHTTPRequestHandler):
    """Writes each request in a thread of its own."""

    protocol_version = "HTTP/1.1"
    models_dir = ""

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        generator = generator_of(order["model"], self.models_dir)
        waiting, told, is_first = [], time.monotonic(), True
        for piece in pieces(generator, order["prompt"], order["seed"], order["max_tokens"]):
            waiting.append(piece)
            if is_first or time.monotonic() - told > PAUSE:
                if is_first:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
                self.tell("".join(waiting))
                waiting, told, is_first = [], time.monotonic(), False
        self.tell("".join(waiting))
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def tell(self, text: str) -> None:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": None}
        document = {"id": "cmpl", "object": "text_completion", "created": 0, "model": "any", "choices": [choice]}
        self.wfile.write(b"data: " + json.dumps(document).encode() + b"\n\n")


def serve_threads(models_dir: str) -> None:
    Threads.models_dir = models_dir
    ThreadingHTTPServer.request_queue_size = 512
    with ThreadingHTTPServer(("127.0.0.1", 0), Threads) as server:
        print(f"http://127.0.0.1:{server.server_port}/v1", file=sys.stderr, flush=True)
        server.serve_forever()


def start(*command: str) -> tuple[subprocess.Popen[str], int]:
    """A server and its port."""
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/v1", line):
            # What it says later is read, too: a full pipe would stop it.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, int(found[1])
    raise SystemExit(f"{command} did not start")


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """That a process has taken so far; Linux alone tells."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def stream(port: int, model: str, seed: int) -> float:
    """Read one text; seconds until its first piece was there."""
    order = {"model": model, "prompt": "<" if model == "2x128" else "It was", "seed": seed, "stream": True}
    body = json.dumps(order | {"max_tokens": LENGTH[model], "ignore_eod": True}).encode()
    begin, first, tail = time.perf_counter(), 0.0, b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    while b"[DONE]" not in tail:
        found = await reader.read(65536)
        if not found:
            raise SystemExit(f"the server broke off: {tail!r}")
        tail = tail[-8:] + found if first else tail + found
        if not first and b"data: " in tail:
            first = time.perf_counter() - begin
    writer.close()
    return first


class Round(NamedTuple):
    """Of one contestant."""

    rate: float  # tokens per second
    cpu_rate: float  # tokens per second of the CPU
    first: float = 0.0  # seconds until the first piece of a text, the median of all


def crowd(server: tuple[subprocess.Popen[str], int], model: str, streams: int) -> Round:
    """So many texts at once."""

    async def all_streams() -> list[float]:
        return await asyncio.gather(*(stream(server[1], model, seed) for seed in range(streams)))

    begin, cpu = time.perf_counter(), cpu_seconds(server[0])
    firsts = asyncio.run(all_streams())
    tokens, seconds = streams * LENGTH[model], time.perf_counter() - begin
    return Round(tokens / seconds, tokens / (cpu_seconds(server[0]) - cpu), statistics.median(firsts))


def alone(model: str, models_dir: str) -> Round:
    """The engine without HTTP."""
    generator, prompt = generator_of(model, models_dir), "<" if model == "2x128" else "It was"
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in pieces(generator, prompt, 0, 4 * LENGTH[model]):
        pass
    seconds, cpu_taken = time.perf_counter() - begin, time.process_time() - cpu
    return Round(4 * LENGTH[model] / seconds, 4 * LENGTH[model] / cpu_taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only the models and numbers of streams that contain this")
    options = parser.parse_args()
    from conftest import make_stored_model, write_stored_model

    with tempfile.TemporaryDirectory(prefix="textgen-benchmark-") as folder:
        stored = make_stored_model(symbols=SYMBOLS, units=128, embedding_size=128)
        write_stored_model(Path(folder), stored, "2x128")
        ours = start("-m", "textgen", "serve", *SETTINGS, "--port", "0", "--models-dir", folder)
        servers = {"threads": start(__file__, "--threads", folder), "serve": ours}
        heads = ("engine", "threads", "serve", "to engine", "threads")
        print("model     streams               " + "".join(f"{head:>10}" for head in heads))
        for model, numbers in SETTINGS.items():
            for streams in numbers:
                if options.only not in f"{model} {streams}":
                    continue
                rounds: list[dict[str, Round]] = []
                for number in range(options.rounds + 1):
                    found = {"engine": alone(model, folder)}
                    found |= {name: crowd(server, model, streams) for name, server in servers.items()}
                    rounds += [found] * (number > 0)  # the first round loads the models
                tell(f"{model:<9}{streams:>8}   ", rounds)
        for process, _ in servers.values():
            process.terminate()
            process.wait()


def tell(head: str, rounds: list[dict[str, Round]]) -> None:
    for name, sentence in (("rate", "tokens/s"), ("cpu_rate", "tokens/CPU s")):
        rates = {who: [getattr(found[who], name) for found in rounds] for who in rounds[0]}
        ratios = [
            statistics.median(a / b for a, b in zip(rates["serve"], rates[who], strict=True))
            for who in ("engine", "threads")
        ]
        figures = "".join(f"{statistics.median(numbers):>10,.0f}" for numbers in rates.values())
        print(f"{head}{sentence:<12}{figures}{ratios[0]:>10.2f}{ratios[1]:>10.2f}")
    firsts = [1000 * statistics.median(found[who].first for found in rounds) for who in ("threads", "serve")]
    print(f"{head}{'first, ms':<22}{firsts[0]:>10,.0f}{firsts[1]:>10,.0f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--threads"]:
        serve_threads(sys.argv[2])
    else:
        main()
