"""What a worker says as it ends, where no chief answers that waits for it: it has nothing to save and ends at once."""

import contextlib
import os
import socket
import struct
import sys
import threading

import pytest

from textgen.tensorflow_runtime import hidden_stderr
from textgen.training import worker as worker_module
from textgen.training.worker import Worker
from textgen.workers.channel import Channel
from textgen.workers.cluster import Cluster
from textgen.workers.greeting import END


class EndedError(Exception):
    """In the place of the end of the process."""


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def gone(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # at once, by a reset


def of_another_kind(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.recv(1)


@pytest.mark.parametrize(
    ("does", "line"),
    [
        (silent, "the chief has not answered for 0.3 seconds"),
        (gone, "the chief has ended"),
        (of_another_kind, "{chief} has no chief that waits for this worker: what comes is no message of textgen"),
    ],
)
def test_a_worker_says_why_it_ends_though_tensorflow_is_being_imported_out_of_sight(does, line, monkeypatch, capfd):
    def end(status):
        assert status == 1
        raise EndedError

    monkeypatch.setattr(worker_module.os, "_exit", end)
    monkeypatch.setattr(sys, "stderr", os.fdopen(2, "w", closefd=False))  # as a process has it
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            is_reached.wait(30)
            with connection, contextlib.suppress(OSError):
                does(connection)

        is_reached = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        place = server.getsockname()
        channel = Channel(socket.create_connection(place), 0.3)
        is_reached.set()
        worker = Worker(Cluster(1, 2, place), channel, 0.3)
        with hidden_stderr():
            os.write(2, b"what TensorFlow says\n")
            with pytest.raises(EndedError):
                worker._listen()
        channel.close()
        thread.join(30)
    assert capfd.readouterr().err == f"textgen: {line.format(chief=f'{place[0]}:{place[1]}')}\n"


@pytest.mark.parametrize("number", [None, 15])
def test_a_worker_knows_the_signal_that_has_stopped_the_run(number):
    with socket.create_server(("127.0.0.1", 0)) as server:
        channel = Channel(socket.create_connection(server.getsockname()), 30)
        chief = Channel(server.accept()[0], 30)
        worker = Worker(Cluster(1, 2, server.getsockname()), channel, 30)
        thread = threading.Thread(target=worker._listen)
        thread.start()
        chief.send(END, reason="", stopped_by=number)
        assert worker.obey() == number
        thread.join(30)
        for end in (channel, chief):
            end.close()
