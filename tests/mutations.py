"""Random changes to files and JSON documents, from a seed."""

import copy
import json
import random
from typing import Any

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, 1e-320, 2**31, 2**53 + 1, 2**63, 10**19, 10**25, 4_194_304),
    *("", "a", "\0", "\x1b[2J", "\ud800", "\u202e", "../../etc/passwd", "/dev/zero", "x" * 5000, "word", "F16", "\n\n"),
    *(float("nan"), float("inf"), [], {}, [[]], ["a"], [1, 2], {"a": 1}, [[[[[[]]]]]], ["x"] * 3000),
)
BYTES = b'\0\xff{}[]",:0123456789eE.-+aF \\\n\t' + b"\xef\xbb\xbf\xed\xa0\x80"


def mutated_bytes(draw: random.Random, content: bytes) -> bytes:
    """`content` with a few bytes flipped, taken out, put in, repeated or cut off."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        start = draw.randrange(len(changed) + 1)
        end = min(len(changed), start + draw.choice((1, 1, 4, 40)))
        kind = draw.randrange(6)
        if kind == 0 and start < len(changed):
            changed[start] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del changed[start:end]
        elif kind == 2:
            changed[start:start] = bytes(draw.choice(BYTES) for _ in range(draw.choice((1, 2, 9))))
        elif kind == 3:
            changed[start:start] = changed[start:end] * draw.choice((1, 2, 500))
        elif kind == 4:
            changed[start:end] = bytes(draw.choice(BYTES) for _ in range(end - start))
        elif draw.random() < 0.2:
            del changed[start:]
    return bytes(changed)


def mutated_json(draw: random.Random, document: Any) -> bytes:
    """`document` as JSON with a value exchanged, a key renamed, taken out, put in or written twice."""
    document = copy.deepcopy(document)
    twice = b""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        containers = list(_containers(document))
        if not containers:
            break
        container = draw.choice(containers)
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        kind = draw.randrange(7)
        if kind == 0 or not keys:
            _put(draw, container)
        elif kind == 1:
            del container[draw.choice(keys)]
        elif kind == 2 and isinstance(container, dict):
            container[draw.choice((*keys, "", "A", "__class__"))] = container.pop(draw.choice(keys))
        elif kind == 3:
            one, other = draw.choice(keys), draw.choice(keys)
            container[one], container[other] = container[other], container[one]
        elif kind == 4 and isinstance(container, dict):
            twice = json.dumps(draw.choice(keys)).encode()
        else:
            container[draw.choice(keys)] = copy.deepcopy(draw.choice(HOSTILE))
    content = json.dumps(document, indent=draw.choice((None, 2)), ensure_ascii=draw.random() < 0.5)
    encoded = content.encode("utf-8", "surrogatepass")
    return encoded.replace(twice + b":", twice + b": 1, " + twice + b":", 1) if twice else encoded


def _containers(value: Any):
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value[:50]:
            yield from _containers(inner)


def _put(draw: random.Random, container: dict | list) -> None:
    value = copy.deepcopy(draw.choice(HOSTILE))
    if isinstance(container, dict):
        container[draw.choice(("", "format", "type", "units", "__metadata__", "new", "\ud800"))] = value
    else:
        container.insert(draw.randrange(len(container) + 1), value)
