"""A chief and its workers, which are threads here and know nothing of TensorFlow: who is missed, and what is said."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from textgen.errors import SettingError, TextgenError, TrainingError, WorkerError
from textgen.training.signals import Stopped
from textgen.workers import team as team_module
from textgen.workers.channel import BEAT, Channel, free_port
from textgen.workers.cluster import Cluster
from textgen.workers.greeting import END, greet, versions
from textgen.workers.team import ANSWER, Team

TIMEOUT = 0.5


class Worker:
    """One that greets, beats while it is told to, and does tasks by a function; what it was told is kept."""

    def __init__(self, cluster: Cluster, index: int, *, key: str | None = None, does=lambda worker, message: None):
        self.heard, self.reached, self.beats, self.does = [], 0, True, does
        self.cluster = Cluster(index, cluster.count, cluster.chief, key=cluster.key if key is None else key)
        self.channel = Channel(socket.create_connection(cluster.chief), 30)
        greet(self.channel, self.cluster, 1000 + index)
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._beat)]
        for thread in self.threads:
            thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                message = self.channel.receive()
                if message.kind != BEAT:
                    self.heard.append(message)
                    self.does(self, message)

    def _beat(self) -> None:
        while self.threads[0].is_alive():
            if self.beats:
                self.channel.mention(BEAT, reached=self.reached, stopped_by=0)
            time.sleep(0.05)

    def ended(self) -> str:
        """The reason with which it was told to end."""
        self.threads[0].join(10)
        return next(message.fields["reason"] for message in self.heard if message.kind == END)


def arrive(worker: Worker, message) -> None:
    worker.reached = message.fields.get("task", worker.reached)


def answer(worker: Worker, message) -> None:
    arrive(worker, message)
    if message.kind == "gather":
        worker.channel.send(ANSWER, [bytes([worker.cluster.index]) * 3, b"!"])


@pytest.fixture
def cluster(monkeypatch) -> Iterator[Cluster]:
    made, begin = [], Worker.__init__
    monkeypatch.setattr(
        Worker, "__init__", lambda self, *given, **more: (made.append(self), begin(self, *given, **more))[1]
    )
    yield Cluster(0, 3, ("127.0.0.1", free_port()), key="secret")
    for worker in made:
        worker.channel.close()
        worker.threads[0].join(10)


def together(team: Team, *workers: Worker) -> None:
    assert team._assemble()[1:] == [f"127.0.0.1:{1000 + worker.cluster.index}" for worker in workers]


def test_a_chief_tells_each_its_own_and_gets_the_answers_in_their_order(cluster):
    with Team(cluster, 30) as team:
        workers = [Worker(cluster, index, does=answer) for index in (2, 1)][::-1]
        together(team, *workers)
        team.begin("load", [[b"a", b"bc"], [b"d"]], each=[{"own": 1}, {"own": 2}], all=7)
        team.begin("gather", [[], []])
        assert team.answers() == [b"\1\1\1!", b"\2\2\2!"]
    for worker, (own, payload) in zip(workers, [(1, b"abc"), (2, b"d")], strict=True):
        assert worker.ended() == ""
        load = worker.heard[0]
        assert (load.kind, load.payload, load.fields) == ("load", payload, {"task": 1, "own": own, "all": 7})


def test_one_that_never_comes_is_missed_by_name(cluster):
    named = Cluster(0, 3, cluster.chief, ("a:1", "b:2", "c:3"), key="secret")
    for given, name in ((cluster, "worker 2"), (named, "worker 2 (c:3)")):
        began = time.monotonic()
        with pytest.raises(WorkerError) as problem, Team(given, TIMEOUT) as team:  # noqa: PT012
            worker = Worker(given, 1)
            team._assemble()
        line = f"{name} has not come within 0.5 seconds. Start all 3 at once, or give them longer by --worker-timeout"
        assert str(problem.value) == line == worker.ended()
        assert time.monotonic() - began < TIMEOUT + 2


def test_one_that_does_not_know_the_key_is_let_go_and_harms_nobody(cluster):
    with Team(cluster, 30) as team:
        stranger = Worker(cluster, 1, key="guessed")
        for garbage in (b"", b"\0" * 9, b"\xff\xff\xff\xff", struct.pack("<I", 4) + b"null", b"GET / HTTP/1.1\r\n\r\n"):
            with socket.create_connection(cluster.chief) as connection:
                connection.sendall(garbage)
        together(team, Worker(cluster, 1), Worker(cluster, 2))
        stranger.threads[0].join(10)
        assert stranger.heard == []


@pytest.mark.parametrize(
    ("index", "changes", "line"),
    [
        (1, {}, "two processes say that they are worker 1"),
        (0, {}, "a process says that it is worker 0 of 3"),
        (3, {}, "a process says that it is worker 3 of 3"),
        (2, {"workers": 4}, "worker 2 is told of 4 workers, and the chief of 3"),
        (2, {"tensorflow": "1.0\x1b"}, "worker 2 has tensorflow '1.0\\x1b', and the chief "),
    ],
)
def test_one_that_does_not_fit_ends_the_run_and_all_are_told_why(cluster, index, changes, line, monkeypatch):
    with pytest.raises(WorkerError) as problem, Team(cluster, 30) as team:  # noqa: PT012
        first = Worker(cluster, 1)
        while not team._channels:
            time.sleep(0.01)
        send = Channel.send
        monkeypatch.setattr(
            Channel,
            "send",
            lambda self, kind, payload=(), **fields: send(
                self, kind, payload, **{n: v | changes if n == "who" else v for n, v in fields.items()}
            ),
        )
        second = Worker(cluster, index)
        team._assemble()
    assert str(problem.value).startswith(line)
    assert first.ended() == str(problem.value)
    if "workers" in changes or index != 1:
        assert second.ended() == str(problem.value)
    assert versions().keys() == {"textgen", "tensorflow", "keras"}


def ended(worker: Worker) -> None:
    worker.channel.close()


def silent(worker: Worker) -> None:
    worker.beats = False


def late(worker: Worker) -> None:
    worker.does = lambda worker, message: None


@pytest.mark.parametrize(
    ("happens", "line"),
    [
        (ended, "worker 2 has ended"),
        (silent, "worker 2 has not answered for 0.5 seconds"),
        (late, "worker 2 has not come to the next step for 0.5 seconds"),
    ],
)
def test_one_that_is_lost_in_a_step_breaks_it_off_and_ends_the_others(cluster, happens, line):
    broken_off = threading.Event()
    with pytest.raises(WorkerError) as problem, Team(cluster, TIMEOUT) as team:  # noqa: PT012
        team.break_off = lambda said: broken_off.set()
        others = [Worker(cluster, 1, does=arrive), Worker(cluster, 2, does=arrive)]
        together(team, *others)
        happens(others[1])
        team.begin("step", [[], []])
        team.reach()
        assert broken_off.wait(10)
        raise team.failure("Connection reset by peer")
    assert str(problem.value) == line == others[0].ended()


def test_one_that_gives_signs_of_life_and_takes_nothing_any_more_is_not_said_to_have_ended(cluster):
    let_go = threading.Event()
    with pytest.raises(WorkerError) as problem, Team(cluster, TIMEOUT) as team:  # noqa: PT012
        together(team, *(Worker(cluster, index, does=lambda *_: let_go.wait(30)) for index in (1, 2)))
        team.begin("step", [[], []])
        team.done()
        team.begin("load", [[], [bytes(1 << 26)]], times=60)
    let_go.set()
    assert str(problem.value) == "worker 2 has not answered for 0.5 seconds"


def test_while_the_chief_is_busy_nobody_is_late(cluster):
    with Team(cluster, TIMEOUT) as team:
        workers = [Worker(cluster, index, does=answer) for index in (1, 2)]
        together(team, *workers)
        team.begin("step", [[], []])
        team.done()
        time.sleep(2 * TIMEOUT)  # an evaluation, say
        team.begin("gather", [[], []])
        assert len(team.answers()) == 2


def test_a_chief_that_hangs_in_a_step_is_ended_with_all_others(cluster, monkeypatch, capsys):
    monkeypatch.setattr(team_module, "SECONDS_TO_LEAVE", 0.1)
    left = threading.Event()
    monkeypatch.setattr(team_module.os, "_exit", lambda status: left.set())
    with Team(cluster, TIMEOUT) as team:
        workers = [Worker(cluster, index, does=arrive) for index in (1, 2)]
        together(team, *workers)
        team.begin("step", [[], []])  # and never comes to it
        assert left.wait(10)
        monkeypatch.undo()
    line = "the chief has not come to the next step for 0.5 seconds"
    assert workers[0].ended() == line
    assert f"textgen: {line}\n" in capsys.readouterr().err


def test_what_happens_to_a_worker_after_the_last_step_does_no_harm(cluster):
    with Team(cluster, TIMEOUT) as team:
        workers = [Worker(cluster, index) for index in (1, 2)]
        together(team, *workers)
        team.finish()
        workers[0].channel.close()
        workers[1].beats = False
        time.sleep(2 * TIMEOUT)
        team.check()


@pytest.mark.parametrize("problem", [None, Stopped(15)], ids=["saved", "before a step"])
def test_all_are_told_by_which_signal_a_run_was_stopped(problem, cluster):
    with contextlib.suppress(Stopped), Team(cluster, 30) as team:
        workers = [Worker(cluster, 1), Worker(cluster, 2)]
        together(team, *workers)
        if problem is not None:
            raise problem
        team.stopped_by = 15
    for worker in workers:
        assert worker.ended() == ""
        assert worker.heard[-1].fields["stopped_by"] == 15


def test_a_port_that_somebody_listens_to_is_one_line(cluster):
    with (
        socket.create_server(("", cluster.chief[1])),
        pytest.raises(
            TrainingError, match=f"the chief cannot listen on port {cluster.chief[1]}: Address already in use\\."
        ),
        Team(cluster, TIMEOUT),
    ):
        pass


def test_a_batch_is_cut_over_all_and_not_over_more_than_it_has_rows(cluster):
    team = Team(cluster, TIMEOUT)
    assert team.cluster.rows_of(16) == [range(5), range(5, 10), range(10, 16)]
    assert team.cluster.rows_of(3) == [range(1), range(1, 2), range(2, 3)]
    with pytest.raises(SettingError, match=r"a batch of 2 rows cannot be cut over 3 workers\. Raise `batch_size`, or "):
        team.cluster.rows_of(2)
    with pytest.raises(SettingError, match=r"at most 1 worker$"):
        team.cluster.rows_of(1)
    assert issubclass(WorkerError, TextgenError)
