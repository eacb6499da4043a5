"""A corpus prepared by Apache Beam, on as many machines as a text needs, into the bytes that `prepare` makes of it.

    pip install 'textgen[beam]'
    python -m textgen.dataset.beam 'gs://texts/*.jsonl.zst' --column text --level word --output gs://texts/prepared \
        --runner DataflowRunner --project NAME --region REGION --temp_location gs://texts/tmp
    gcloud storage cp -r gs://texts/prepared ~/.cache/textgen/      # the user's cache, or $TEXTGEN_CACHE_DIR

Texts and output are paths, or URLs and patterns of whatever Beam's file systems know. What is not said here is an
option of Beam: without `--runner` it all happens in this process, Flink and Spark have runners too. In the cache,
`textgen train` finds what is prepared by the bytes of the same files, with the same settings and `--init-from none`.
The user's key signs it on the machine where the pipeline was started: the cache believes nothing that others wrote.

    survey   one worker reads the text, for its size, its hash and its sketch, which depend on the order
    cut      one worker reads it again and gives the shards away
    count    every shard by itself, on any worker
    learn    one worker merges the counts in the order of the shards, and makes the tokenizer
    encode   every shard by itself
    join     one worker writes the ids of all shards one after the other; the manifest comes last

What is found out of shards lies in files beside the output until it is merged. A worker that fails is Beam's to
replace; one that works twice writes the same bytes twice. Nothing else of textgen imports Beam.
"""

import argparse
import copy
import dataclasses
import hashlib
import io
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsSingleton

from textgen.config import TextConfig, TrainingConfig
from textgen.corpus import CorpusReader
from textgen.corpus.sources import STDIN, Source, named_file, resolve
from textgen.dataset.batches import append_token_ids
from textgen.dataset.cache import FACTS, SIGNATURE, TRAIN_IDS, VALIDATION_IDS, Entry
from textgen.dataset.preparing import Survey, facts_of, survey_text, whole_text
from textgen.dataset.shards import Arrays, Shard, count, encode, split_shards
from textgen.dataset.split import Split
from textgen.errors import CorpusError, TextgenError
from textgen.messages import shown
from textgen.schema import fields_with_kinds, flag_of, from_python
from textgen.store.manifest import MANIFEST, manifest_bytes
from textgen.store.model_directory import TOKENIZER
from textgen.store.private import OWNER_ONLY
from textgen.store.signature import signature_of
from textgen.store.strict_json import document_bytes
from textgen.streams import tell, write_line
from textgen.tokenizers import SymbolFitter, Tokenizer, new_fitter
from textgen.tokenizers.word_fitting import Counted, WordFitter

PARTS = {"train": TRAIN_IDS, "validation": VALIDATION_IDS}


class Task(NamedTuple):
    """What is to be prepared, and where."""

    sources: tuple[str, ...]
    config: TextConfig  # with a level
    split: Split
    output: str
    ticket: str  # names the file by which the machine that started all this finds what was made

    def reader(self) -> CorpusReader:
        """What reads the text. Raises CorpusError: something is missing."""
        return CorpusReader([found for source in self.sources for found in _found(source, self.config)], self.config)


class Surveyed(NamedTuple):
    """What the first pass finds out."""

    survey: Survey
    fitter: SymbolFitter  # which knows the characters
    fingerprint: str
    notes: tuple[str, ...]
    encodings: tuple[str, ...]


def add_preparation(pipeline: beam.Pipeline, task: Task) -> beam.PCollection:
    """Add all steps to `pipeline`; what comes out is the name of the one directory that is made."""
    surveyed = pipeline | "task" >> beam.Create([task]) | "survey" >> beam.Map(_survey)
    survey = AsSingleton(surveyed)
    shards = surveyed | "cut" >> beam.FlatMap(_cut, task) | "give away" >> beam.Reshuffle()
    counted = shards | "count" >> beam.FlatMap(_count, survey, task) | "counted" >> beam.combiners.Count.Globally()
    tokenizers = surveyed | "learn" >> beam.Map(_learn, AsSingleton(counted), task)
    tokenizer = AsSingleton(tokenizers)
    encoded = shards | "encode" >> beam.Map(_encode, tokenizer, survey, task)
    number = encoded | "encoded" >> beam.combiners.Count.Globally()
    return surveyed | "join" >> beam.Map(_join, tokenizer, AsSingleton(number), task)


def _survey(task: Task) -> Surveyed:
    reader, fitter = task.reader(), new_fitter(task.config.level)
    survey = survey_text(whole_text(reader), fitter)
    return Surveyed(survey, fitter, reader.passed, reader.notes, reader.encodings)


def _cut(surveyed: Surveyed, task: Task) -> Iterator[tuple[int, Shard]]:
    survey = surveyed.survey
    text = whole_text(task.reader(), surveyed.fingerprint)
    yield from enumerate(split_shards(text, task.config.level, task.split, survey.characters, survey.num_documents))


def _count(numbered: tuple[int, Shard], surveyed: Surveyed, task: Task) -> Iterator[int]:
    if task.config.level == "word":
        index, shard = numbered
        _write_arrays(_place(task, surveyed, "counts", index), count(shard))
        yield index


def _learn(surveyed: Surveyed, num_counted: int, task: Task) -> Tokenizer:
    fitter = copy.deepcopy(surveyed.fitter)  # others read the same
    for index in range(num_counted):
        assert isinstance(fitter, WordFitter)
        fitter.merge(Counted(**_read_arrays(_place(task, surveyed, "counts", index))))
    return fitter.finish(task.config)


def _encode(numbered: tuple[int, Shard], tokenizer: Tokenizer, surveyed: Surveyed, task: Task) -> int:
    index, shard = numbered
    _write_arrays(_place(task, surveyed, "ids", index), encode(shard, tokenizer))
    return index


def _join(surveyed: Surveyed, tokenizer: Tokenizer, num_encoded: int, task: Task) -> str:
    name = _name(task, surveyed)
    directory = FileSystems.join(task.output, name)

    def ids(part: str) -> Iterator[bytes]:
        for index in range(num_encoded):
            written = io.BytesIO()
            arrays = _read_arrays(_place(task, surveyed, "ids", index))
            append_token_ids(written, arrays[part], tokenizer.vocabulary_size)
            yield written.getvalue()

    facts = facts_of(surveyed.survey, task.split, surveyed.notes, surveyed.encodings)
    contents: dict[str, Iterable[bytes]] = {name: ids(part) for part, name in PARTS.items()}
    contents |= {
        TOKENIZER: [document_bytes(tokenizer.to_json())],
        FACTS: [document_bytes(facts.to_json())],
    }
    entries = {name: _write(FileSystems.join(directory, name), content) for name, content in contents.items()}
    _write(FileSystems.join(directory, MANIFEST), [manifest_bytes(entries)])
    FileSystems.delete([_work(task, surveyed)])
    _write(_ticket(task), [name.encode()])
    return directory


def _ticket(task: Task) -> str:
    return FileSystems.join(task.output, f".{task.ticket}.tmp")


def _sign(task: Task) -> None:
    """Sign what the workers made; none of them knows the user's key."""
    name = _read(_ticket(task)).decode()
    directory = FileSystems.join(task.output, name)
    _write(FileSystems.join(directory, SIGNATURE), [signature_of(name, _read(FileSystems.join(directory, MANIFEST)))])
    FileSystems.delete([_ticket(task)])


def _name(task: Task, surveyed: Surveyed) -> str:
    return Entry(surveyed.fingerprint, task.config, task.split, None).path.name


def _work(task: Task, surveyed: Surveyed) -> str:
    """The directory of what is found out of shards."""
    return FileSystems.join(task.output, f"{_name(task, surveyed)}.shards")


def _place(task: Task, surveyed: Surveyed, what: str, index: int) -> str:
    return FileSystems.join(_work(task, surveyed), f"{what}-{index:08}")


def _write_arrays(path: str, arrays: Arrays) -> None:
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]  # of an option, whose name no array has
    _write(path, [packed.getvalue()])


def _read_arrays(path: str) -> Arrays:
    with np.load(io.BytesIO(_read(path)), allow_pickle=False) as arrays:
        return dict(arrays)


def _read(path: str) -> bytes:
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return bytes(file.read())


def _write(path: str, contents: Iterable[bytes]) -> tuple[int, str]:
    """Write a file; its bytes and their SHA-256."""
    digest, num_bytes = hashlib.sha256(), 0
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        for content in contents:
            file.write(content)
            digest.update(content)
            num_bytes += len(content)
    return num_bytes, digest.hexdigest()


def _found(source: str, config: TextConfig) -> Sequence[Source]:
    """What a source stands for: what `textgen train` takes, or a pattern of Beam. Raises CorpusError."""
    if source == STDIN:
        raise CorpusError("standard input can be read once, and here a text is read twice. Give files")
    is_here = "://" not in source
    if is_here and (os.path.exists(source) or not any(symbol in source for symbol in "*?[")):
        return resolve([source], config)
    (match,) = FileSystems.match([os.path.abspath(source) if is_here else source])
    paths = sorted(found.path for found in match.metadata_list)
    if not paths:
        raise CorpusError(
            f"there is no {shown(source)}. Give paths, URLs or patterns of files that all workers can read"
        )
    open_ = partial(FileSystems.open, compression_type=CompressionTypes.UNCOMPRESSED)
    found = (named_file(Path(path), partial(open_, path), None) for path in paths)
    names = [shown(os.path.relpath(path) if is_here and not os.path.isabs(source) else path) for path in paths]
    files = tuple(dataclasses.replace(file, shown_name=name) for file, name in zip(found, names, strict=True))
    return [Source(Path(paths[0]).stem, source, files)]


def main(arguments: Sequence[str] | None = None) -> None:
    """What the module does as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+", help="files, folders, or URLs and patterns that Beam knows")
    parser.add_argument("--output", required=True, help="folder of what is prepared, such as that of the cache")
    parser.add_argument("--val-fraction", type=float, default=TrainingConfig().val_fraction, help="as of train")
    parser.add_argument("--seed", type=int, default=TrainingConfig().seed, help="as of train")
    names = []
    for field, kinds in fields_with_kinds(TextConfig):
        several: dict[str, Any] = {"nargs": "+", "type": str} if kinds[0] is tuple else {"type": kinds[0]}
        parser.add_argument(flag_of(field.name), help="as of train", **several)
        names.append(field.name)
    options, others = parser.parse_known_args(arguments)
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    try:
        config = TextConfig(**{"level": "char"} | from_python(TextConfig, given))
        split = Split(options.val_fraction, options.seed)
        task = Task(tuple(options.corpus), config, split, options.output, secrets.token_hex(8))
        task = task._replace(config=task.reader().config)
        FileSystems.get_filesystem(task.output)  # raises where Beam knows none that has such names
        if "://" not in task.output:
            Path(task.output).mkdir(OWNER_ONLY, parents=True, exist_ok=True)
        with beam.Pipeline(options=PipelineOptions(others, save_main_session=False)) as pipeline:
            _ = add_preparation(pipeline, task)
        _sign(task)
    except Exception as problem:
        known = next((one for one in _causes(problem) if isinstance(one, TextgenError)), None)
        if known is None:
            is_of_a_step = "[while running" in str(problem)
            if is_of_a_step or not isinstance(problem, OSError | ValueError):
                raise
            known = CorpusError(shown(" ".join(str(problem).split())))  # a place or an option that Beam does not take
        tell(f"textgen: {known}")
        sys.exit(known.exit_status)
    write_line(task.output)


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


if __name__ == "__main__":
    from textgen.dataset.beam import main as run  # by a name that workers can import too

    run()
