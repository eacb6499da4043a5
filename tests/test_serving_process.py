"""A real `textgen serve`, with real clients and with what is none."""

import http.client
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import make_stored_model, make_word_tokenizer, write_stored_model

pytest.importorskip("uvicorn")

from textgen.serving.protocol import HEAD_SECONDS
from textgen.serving.server import STOP_SECONDS

STORED = make_stored_model()
SOAK_SECONDS = int(os.environ.get("TEXTGEN_SOAK_SECONDS", "3600"))


class Server:
    def __init__(self, folder, *options, stored=STORED):
        write_stored_model(folder / "models", stored)
        command = [sys.executable, "-m", "textgen", "serve", "tiny", "--port", "0", *options]
        command += ["--models-dir", str(folder / "models")]
        begin = time.monotonic()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace")
        self.said = []
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/v1", "".join(self.said))):
            line = self.process.stderr.readline()
            assert line, self.said
            self.said.append(line)
        self.seconds, self.port = time.monotonic() - begin, int(found[1])
        self.reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def ask(self, path, document=None):
        body = None if document is None else json.dumps(document).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", body, timeout=30) as answer:
            return answer.read().decode()

    def write(self, **changes):
        order = {"model": "tiny", "prompt": "the", "max_tokens": 20, "seed": 1} | changes
        return json.loads(self.ask("/v1/completions", order))["choices"][0]["text"]

    def send(self, head, parts=(), seconds=10.0):
        """The first line of the answer to raw bytes, "" where the connection is closed without one."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as raw:
            answer = b""
            try:
                raw.sendall(head)
                for part in parts:
                    raw.sendall(part)
            except OSError:  # refused while it is sent
                pass
            try:
                while b"\r\n" not in answer and (found := raw.recv(4096)):
                    answer += found
            except OSError:
                pass
            return answer.split(b"\r\n")[0].decode("latin-1")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(timeout=20)
        self.reader.join()
        self.process.stderr.close()
        return status

    def metric(self, name):
        return float(re.search(rf"^{re.escape(name)} (\S+)$", self.ask("/metrics"), re.MULTILINE)[1])

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("served"))
    yield server
    server.stop()
    assert "Traceback" not in "".join(server.said)


def head(*lines, path="/v1/completions"):
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def posted(body):
    return head(f"Content-Length: {len(body)}"), [body]


ENDLESS = [b"10000\r\n" + b" " * 65536 + b"\r\n"] * 100
HOSTILE = {
    "a gigabyte": (head("Content-Length: 1073741824"), [b" " * 65536] * 40, "413"),
    "endless chunks": (head("Transfer-Encoding: chunked"), ENDLESS, "413"),
    "a head without end": (b"GET / HTTP/1.1\r\n", [b"X-A: " + b"a" * 1000 + b"\r\n"] * 100, "431"),
    "a line without end": (b"GET /", [b"a" * 1000] * 100, "431"),
    "no HTTP": (b"\0\xff" * 100 + b"\r\n\r\n", [], "400"),
    "a negative length": (head("Content-Length: -1"), [], "400"),
    "two lengths": (head("Content-Length: 2", "Content-Length: 3"), [b"{}"], "400"),
    "another host": (b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n", [], "403"),
    "two sites": (head("Origin: http://evil.example", "Origin: http://localhost", "Content-Length: 2"), [b"{}"], "403"),
    "another site": (head("Origin: http://evil.example", "Content-Length: 2"), [b"{}"], "403"),
    "no UTF-8": (*posted(b'{"model": "\xff"}'), "400"),
    "deep": (*posted(b"[" * 500_000), "400"),
    "no number": (*posted(b'{"model": "tiny", "temperature": NaN}'), "400"),
    "a huge n": (*posted(b'{"model": "tiny", "n": 1000000000}'), "400"),
    "a huge number": (*posted(b'{"model": "tiny", "seed": ' + b"9" * 100_000 + b"}"), "400"),
    "a prompt of a megabyte": (*posted(b'{"model": "tiny", "prompt": "' + b"a" * 2**20 + b'"}'), "413"),
    "a model that is a path": (*posted(b'{"model": "../../etc/passwd"}'), "404"),
    "another path": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", [], "404"),
    "a path": (b"GET /v1/models/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n", [], "404"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_with_the_right_status(server, name):
    start, parts, status = HOSTILE[name]
    assert server.send(start, parts).split(" ")[1:2] == [status]


def test_the_openai_client_is_pleased(server):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="any", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["tiny"]
        order = {"model": "tiny", "prompt": "the", "max_tokens": 20, "seed": 1}
        whole = client.completions.create(**order, n=2, logprobs=2, echo=True)
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (3, 40)
        assert whole.choices[0].text == "the" + server.write()
        assert whole.choices[0].logprobs.text_offset == list(range(23))
        *parts, last = client.completions.create(**order, stream=True, stream_options={"include_usage": True})
        assert "".join(part.choices[0].text for part in parts) == server.write()
        assert (last.choices, last.usage.completion_tokens) == ([], 20)
        assert client.completions.create(**order, extra_body={"top_k": 1}).choices[0].text == server.write(top_k=1)
        stopped = client.completions.create(**order | {"max_tokens": 400}, stop=["e"]).choices[0]
        assert (stopped.finish_reason, "e" in stopped.text) == ("stop", False)
        for error, changes in {openai.NotFoundError: {"model": "none"}, openai.BadRequestError: {"top_p": 7}}.items():
            with pytest.raises(error) as caught:
                client.completions.create(**order | changes)
            assert caught.value.param == next(iter(changes))


def test_a_server_does_without_tensorflow(server):
    libraries = Path(f"/proc/{server.process.pid}/maps")
    if not libraries.exists():
        pytest.skip("only Linux tells what a process has loaded")
    server.write()
    assert "numpy" in libraries.read_text()
    assert "tensorflow" not in libraries.read_text()


def test_a_slow_reader_and_many_connections_hold_up_nobody(server):
    order = json.dumps({"model": "tiny", "max_tokens": 4096, "stream": True, "n": 8}).encode()
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    for raw in idle[:4]:  # which never read
        raw.sendall(head(f"Content-Length: {len(order)}") + order)
    for raw in idle[4:50]:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    begin = time.monotonic()
    text = server.write()
    seconds = time.monotonic() - begin
    for raw in idle:
        raw.close()
    assert text == server.write()
    assert seconds < 5
    while server.metric("textgen_rows"):
        assert time.monotonic() - begin < 20
        time.sleep(0.05)


@pytest.mark.parametrize("number", [1100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_too_many_connections_are_refused_and_those_there_are_go_on(server, number):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number + 200:
        pytest.skip(f"this process may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (number + 200, hard))
    first = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    crowd = []
    try:
        first.request("GET", "/healthz")
        first.getresponse().read()
        crowd += [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(number)]
        assert crowd[-1].recv(100).startswith(b"HTTP/1.1 503 ")
        first.request("GET", "/healthz")
        assert first.getresponse().status == 200
    finally:
        for raw in [first, *crowd]:
            raw.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until = time.monotonic() + 10
    while server.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").split(" ")[1:2] != ["200"]:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
def test_a_client_that_sends_no_head_is_let_go(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=HEAD_SECONDS + 20) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n")
        assert raw.recv(10) == b""


def test_every_line_of_a_log_in_json_is_json_and_what_is_no_request_is_counted(tmp_path):
    server = Server(tmp_path, "--json-logs")
    assert " 400 " in server.send(b"junk\r\n\r\n")
    assert server.metric('textgen_requests_total{path="other",status="400"}') == 1
    server.stop(signal.SIGINT)
    lines = [json.loads(line) for line in server.said]
    site = f"http://127.0.0.1:{server.port}"
    assert lines[0]["message"] == f"serving tiny at {site}/v1, with a page to write on at {site}; Ctrl-C stops"
    assert [line["status"] for line in lines if "status" in line] == [400, 200]
    assert lines[-1].get("message") == "stopped", lines


def test_a_server_that_is_told_to_stop_finishes_its_texts(tmp_path):
    server = Server(tmp_path)
    server.write()
    written = []
    asking = threading.Thread(target=lambda: written.append(server.write(max_tokens=4000, n=64)))
    asking.start()
    while asking.is_alive() and not server.metric("textgen_rows"):
        time.sleep(0.005)
    assert asking.is_alive()
    assert server.stop() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    asking.join()
    assert len(written[0]) == 4000


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_cuts_what_takes_too_long(tmp_path):
    server = Server(tmp_path, "--max-tokens", "1000000")
    order = json.dumps({"model": "tiny", "max_tokens": 1_000_000, "n": 8}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(head(f"Content-Length: {len(order)}") + order)
        while not server.metric("textgen_rows"):
            time.sleep(0.01)
        begin = time.monotonic()
        assert server.stop() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        assert time.monotonic() - begin >= STOP_SECONDS - 1
    assert "the server stopped" in "".join(server.said)
    assert not re.search("Traceback|Exception", "".join(server.said))


def trouble(server, seconds, number):
    """One client of a crowd: asks, streams, hangs up, sends rubbish and goes slow; how often it was answered."""
    draw, answered, until = random.Random(number), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        kind = draw.choice(("ask", "ask", "hang up", "rubbish", "slow", "half"))
        if kind == "ask":
            assert len(server.write(seed=number)) == 20
            answered += 1
            continue
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
            order = json.dumps({"model": "tiny", "max_tokens": draw.choice((50, 4096)), "stream": True}).encode()
            request = head(f"Content-Length: {len(order)}") + order
            if kind == "rubbish":
                raw.sendall(draw.randbytes(draw.randint(1, 2000)))
            elif kind == "half":
                raw.sendall(request[: draw.randint(1, len(request) - 1)])
            else:
                raw.sendall(request)
                for _ in range(draw.randint(0, 3)):
                    raw.recv(200)
                    time.sleep(0.05 if kind == "slow" else 0)
    return answered


@pytest.mark.parametrize(("seconds", "clients"), [(2, 12), pytest.param(SOAK_SECONDS, 200, marks=pytest.mark.soak)])
def test_a_crowd_leaves_no_row_behind_and_no_memory(server, seconds, clients):
    server.write()
    sizes, counts, failed = [], [], []

    def client(number):
        try:
            counts.append(trouble(server, seconds, number))
        except Exception as problem:
            failed.append(problem)

    crowd = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in crowd:
        thread.start()
    while any(thread.is_alive() for thread in crowd):
        sizes.append(server.resident_kib())
        time.sleep(0.2)
    assert failed == []
    assert sum(counts) > 0
    assert sizes[-1] < max(sizes[: len(sizes) // 2 + 1]) + 30 * 1024
    until = time.monotonic() + 20
    while server.metric("textgen_rows") + server.metric("textgen_queue"):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "Traceback" not in "".join(server.said)
    assert re.findall(r'status="5\d\d"', server.ask("/metrics")) == []
    print(
        f"\n{sum(counts):,} texts; {sizes[len(sizes) // 2] // 1024} MiB in the middle, {sizes[-1] // 1024} at the end"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its libraries
@pytest.mark.parametrize("separator", ["\n\n", None])
def test_lm_evaluation_harness_finds_the_likelihoods_of_evaluate(tmp_path, monkeypatch, separator):
    """A task made on the spot, by the model's own tokens, which the harness asks the server for."""
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.api.task import ConfigurableTask

    from textgen.evaluation.surprisal import score_tokens
    from textgen.evaluation.texts import tokenize
    from textgen.generation.generator import open_generator

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    stored = make_stored_model(tokenizer=make_word_tokenizer(separator))
    texts = ["the cat sat on a mat.", "a dog, the dog and a cat"]
    config = {
        "task": "made",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "texts.jsonl")}, "cache_dir": str(tmp_path)},
        "test_split": "test",
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    }
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    server = Server(tmp_path, stored=stored)
    arguments = {"base_url": f"http://127.0.0.1:{server.port}/v1/completions", "model": "tiny", "max_retries": 1}
    found = lm_eval.simple_evaluate(
        model="local-completions",
        model_args=arguments | {"tokenizer_backend": "remote"},
        tasks=[ConfigurableTask(config=config)],
        bootstrap_iters=0,
    )
    server.stop()
    engine = open_generator(stored).engine
    nats = sum(score_tokens(tokenize(text, stored.tokenizer).token_ids, engine).nats.sum() for text in texts)
    expected = nats / math.log(2) / sum(len(text.encode()) for text in texts)
    assert found["results"]["made"]["bits_per_byte,none"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_llm_writes_with_it(server, tmp_path, monkeypatch):
    llm = pytest.importorskip("llm")
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    lines = ["- model_id: tiny", "  model_name: tiny", f"  api_base: http://127.0.0.1:{server.port}/v1"]
    (tmp_path / "extra-openai-models.yaml").write_text("\n".join([*lines, "  completion: true", ""]))
    answer = llm.get_model("tiny").prompt("the", max_tokens=20, seed=1, key="any", stream=False)
    assert answer.text() == server.write()
