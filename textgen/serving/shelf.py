"""The models that are served, by name: each is loaded when it is first asked for, and stays."""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Generator as Slices
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from textgen.errors import ModelError, TextgenError
from textgen.generation.generator import open_generator
from textgen.messages import nearest, shown
from textgen.serving.errors import UNOPENED, RefusalError, busy, unopened
from textgen.serving.writer import Writer
from textgen.store import shipped
from textgen.store.model_directory import (
    CONFIG,
    checkpoint_dirs,
    find_model,
    is_finished,
    list_model_dirs,
    load_model,
    model_name,
    read_record,
)

WORKERS = 2  # threads that load, tokenize and score, beside those that write
MOST_WAITING = 64  # tasks that wait for one
MOST_READ_AT_ONCE = 1_000_000  # characters that all tasks read slice by slice
MOST_FACTS = 1_000_000  # numbers beside tokens that all answers may have to tell: some 200 bytes each


class Limits(NamedTuple):
    """What one request and all together may take."""

    max_tokens: int = 4096
    max_rows: int = 128
    queue: int = 256


class Shelf:
    """Models by name."""

    def __init__(self, paths: dict[str, Path], limits: Limits, engine: str = "numpy"):
        self.paths, self.limits, self._engine = paths, limits, engine
        self.writers: dict[str, Writer] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._workers = ThreadPoolExecutor(WORKERS, "textgen-worker")
        self._num_tasks = 0
        self._size = 0  # characters that these tasks read
        self.num_facts = 0  # that the open requests may have to tell

    async def describe(self, name: str) -> dict[str, Any]:
        """A model as OpenAI's list has it, and its level, "char" or "word". Raises RefusalError where it is damaged."""
        path = self.path_of(name)
        try:
            created = int(path.stat().st_mtime)
            level = self._facts[name]["level"] if name in self._facts else await self.work(_level_of, path)
        except (ModelError, OSError) as problem:
            if name in self.writers and name in self._facts:  # it goes on writing, whatever became of its files
                return self._facts[name]
            raise unopened(name, problem) from None
        facts = {"id": name, "object": "model", "created": created, "owned_by": "textgen", "level": level}
        self._facts[name] = facts
        return facts

    async def describe_all(self) -> list[dict[str, Any]]:
        """All models that can be read."""
        found = []
        for name in self.paths:
            try:
                found.append(await self.describe(name))
            except RefusalError as refusal:
                if refusal.code != UNOPENED:
                    raise
        return found

    def path_of(self, name: Any) -> Path:
        """Raises RefusalError where no such model is served; a name is looked up and never a path."""
        if not isinstance(name, str):
            raise RefusalError(400, "`model` must be the name of a model", param="model")
        if name not in self.paths:
            advice = nearest(name[:200], self.paths) or "GET /v1/models lists them"
            raise RefusalError(
                404, f"no model {shown(repr(name), 80)} is served. {advice}", param="model", code="model_not_found"
            )
        return self.paths[name]

    async def open(self, name: Any) -> Writer:
        """The writer of a model, which is loaded now if it was not."""
        path = self.path_of(name)
        if name not in self.writers:
            async with self._locks.setdefault(name, asyncio.Lock()):
                if name not in self.writers:
                    loop = asyncio.get_running_loop()
                    self.writers[name] = await self.work(self._load, name, path, loop)
        return self.writers[name]

    def _load(self, name: str, path: Path, loop: asyncio.AbstractEventLoop) -> Writer:
        try:
            generator = open_generator(load_model(path.name, path.parent), self._engine)
        except (TextgenError, OSError) as problem:
            raise unopened(name, problem) from None
        return Writer(generator, loop, self.limits.max_rows, self.limits.queue)

    def take_facts(self, number: int) -> None:
        """Make room for so many more facts. Raises RefusalError."""
        if self.num_facts + number > MOST_FACTS and number:
            raise busy()
        self.num_facts += number

    async def work(self, task: Any, *arguments: Any, size: int = 0) -> Any:
        """What `task` returns, in another thread.

        A generator function is carried out slice by slice, so that other tasks come in between, and goes no further
        once nobody waits for it. Raises RefusalError where too many tasks wait, or have too much to read.

        Args: size: how many characters it reads.
        """
        if self._num_tasks >= MOST_WAITING or self._size + size > MOST_READ_AT_ONCE:
            raise busy()
        self._num_tasks += 1
        self._size += size
        try:
            if inspect.isgeneratorfunction(task):
                return await self._in_slices(task(*arguments))
            return await asyncio.get_running_loop().run_in_executor(self._workers, task, *arguments)
        finally:
            self._num_tasks -= 1
            self._size -= size

    async def _in_slices(self, slices: Slices[None, None, Any]) -> Any:
        loop, lock, results = asyncio.get_running_loop(), threading.Lock(), list[Any]()

        def go_on() -> None:
            with lock:
                try:
                    next(slices)
                except StopIteration as end:
                    results.append(end.value)

        def end() -> None:
            with lock:  # once the slice that is being done is over
                slices.close()

        try:
            while not results:
                await loop.run_in_executor(self._workers, go_on)
            return results[0]
        finally:
            if not results:
                with contextlib.suppress(RuntimeError):  # the server stops
                    self._workers.submit(end)

    def close(self) -> None:
        """Write no more."""
        for writer in self.writers.values():
            writer.close()
        self._workers.shutdown(wait=False, cancel_futures=True)


def _level_of(path: Path) -> str:
    """Raises ModelError."""
    sealed = path if is_finished(path) else next(iter(checkpoint_dirs(path)), path)
    return read_record(sealed / CONFIG).text.level


def paths_of(names: tuple[str, ...], models_dir: Path) -> dict[str, Path]:
    """The models of these names, or all of `models_dir` and those that come with textgen.

    Raises TextgenError where one is missing, two have one name, or there is none.
    """
    if names:
        found = [find_model(name, models_dir) for name in names]
    else:
        found = [*list_model_dirs(models_dir)]
        own = {path.name for path in found}
        found += [path for path in shipped.find_all() if path.name not in own]
    paths: dict[str, Path] = {}
    for path in found:
        name = model_name(path)
        if paths.setdefault(name, path) != path:
            raise TextgenError(f"two models are named {shown(name)}. Serve one of them, or rename its directory")
    if not paths:
        raise TextgenError(f"no models in {models_dir}. Make one with: textgen train")
    return paths
