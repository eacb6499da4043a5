"""Connections of a server in this process, whose patience is short."""

import asyncio

import pytest

pytest.importorskip("uvicorn")

import uvicorn
from uvicorn.server import ServerState

from textgen.serving import protocol

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def serve(app, talk):
    """What `talk(reader, writer)` of a client returns, and what was refused before it was a request."""
    refused = []

    async def main():
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
        config.load()
        kind = type(
            "Protocol", (protocol.LimitedProtocol,), {"refused": staticmethod(lambda *facts: refused.append(facts))}
        )
        server = await asyncio.get_running_loop().create_server(
            lambda: kind(config=config, server_state=ServerState(), app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            return await asyncio.wait_for(talk(reader, writer), 20)
        finally:
            writer.close()
            server.close()

    return asyncio.run(main()), refused


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_head_has_to_arrive_in_time(monkeypatch, number):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)

    async def talk(reader, writer):
        for _ in range(number - 1):
            writer.write(HEAD)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.write(HEAD[:20])
        return await reader.read()

    assert serve(hello, talk) == (b"", [])


def test_a_client_that_was_served_may_be_silent_for_longer_than_a_head_takes(monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)

    async def talk(reader, writer):
        answers = []
        for _ in range(2):
            writer.write(HEAD)
            answers.append(await reader.readuntil(b"hello"))
            await asyncio.sleep(0.2)
        return answers

    answers, _ = serve(hello, talk)
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 2


@pytest.mark.parametrize("is_whole", [False, True])
def test_a_client_that_takes_nothing_is_let_go(monkeypatch, is_whole):
    """Of an answer that is still made, and of one that is, whose connection is then closed."""
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.2)
    gone = asyncio.Event()

    async def large(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        for _ in range(1 if is_whole else 3):
            await send({"type": "http.response.body", "body": b"x" * 2**24, "more_body": not is_whole})
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async def talk(reader, writer):
        writer.transport.pause_reading()
        writer.write(HEAD)
        await gone.wait()
        if is_whole:  # the request is over, and the connection soon
            await asyncio.sleep(0.5)
        writer.transport.resume_reading()
        found = 0
        try:
            while part := await reader.read(2**20):
                found += len(part)
        except ConnectionError:
            pass
        return found

    assert serve(large, talk)[0] < 2**24


def test_a_slow_client_that_takes_something_stays(monkeypatch):
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.4)

    async def large(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"x" * 2**24})

    async def talk(reader, writer):
        writer.write(HEAD)
        found = 0
        while part := await reader.read(2**20):
            found += len(part)
            await asyncio.sleep(0.02)
        return found

    assert serve(large, talk)[0] > 2**24


def test_what_is_no_request_is_told():
    async def talk(reader, writer):
        writer.write(b"junk\r\n\r\n")
        return await reader.read()

    answer, refused = serve(hello, talk)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert refused == [(400, "this is no request of HTTP")]


def test_a_head_without_end_is_told():
    async def talk(reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000)
        return await reader.read(12)

    answer, refused = serve(hello, talk)
    assert (answer, [status for status, _ in refused]) == (b"HTTP/1.1 431", [431])


def test_a_body_in_chunks_of_one_byte_is_taken_a_little_at_a_time():
    sizes = []

    async def counting(scope, receive, send):
        more = True
        while more:
            message = await receive()
            sizes.append(len(message["body"]))
            more = message["more_body"]
        await hello(scope, receive, send)

    async def talk(reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"1\r\ny\r\n" * 30_000 + b"0\r\n\r\n")
        return await reader.readuntil(b"hello")

    assert serve(counting, talk)[0].startswith(b"HTTP/1.1 200 ")
    assert sum(sizes) == 30_000
    assert max(sizes) < protocol.READ_BYTES
