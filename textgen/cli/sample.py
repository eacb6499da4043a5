"""`textgen sample`: a model writes."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import (
    TEXT,
    engine_option,
    json_option,
    models_dir_option,
    on_unknown_option,
    sampling_config,
    sampling_options,
)
from textgen.config import SamplingConfig
from textgen.messages import unescape
from textgen.streams import BOLD, shows_styles, tell, text_writer, write_painted

if TYPE_CHECKING:
    from textgen.store.copy_index import CopyIndex
    from textgen.store.model_directory import StoredModel

MAX_PROMPT_BYTES = 16 * 2**20  # a few novels; a device may never end
MAX_PROMPTS_BYTES = 16 * MAX_PROMPT_BYTES


@click.command()
@click.argument("model")
@click.option("-p", "--prompt", type=TEXT, help="Text to continue; - reads it from standard input.")
@click.option("--escapes", is_flag=True, help=r"Read \n, \t and \\ in --prompt as a new line, a tab and a backslash.")
@click.option(
    "-f",
    "--file",
    "prompt_file",
    type=click.Path(path_type=Path),
    help="Read the prompt from this file; - is standard input.",
)
@click.option(
    "--prompts",
    "prompts_file",
    type=click.Path(path_type=Path),
    help="Continue each prompt of this file: a line each, or JSON lines with the field `prompt`; - is standard input.",
)
@sampling_options
@click.option(
    "--num-samples",
    default=1,
    show_default=True,
    help="Number of texts to write. A text is the same however many there are, unless rounding lets it part, as it "
    "does a few in a hundred of 150 words.",
)
@click.option(
    "--sample-delimiter",
    default=r"\n---\n",
    help=r"Text between two samples, in which \n is a new line and \t a tab.  [default: a line of ---]",
)
@click.option("--no-prompt", is_flag=True, help="Write the text without its prompt.")
@click.option(
    "--logprobs",
    type=click.IntRange(min=0),
    metavar="K",
    help="Write a line for each token: its probability in the model, before any other setting, and the K likeliest "
    "others.",
)
@click.option("--color", is_flag=True, help="Colour what MODEL writes by how surprising it was to MODEL itself.")
@click.option("-o", "--output", type=click.Path(), help="Write to this file; - is standard output.")
@click.option(
    "--mark-copied",
    is_flag=True,
    help="Mark runs of at least 20 characters that stand in the training text: bold on a terminal, else between "
    "\u27e6 and \u27e7.",
)
@click.option("--corpus", help="Text for --max-copy and --mark-copied, in place of the index of MODEL.")
@engine_option
@on_unknown_option
@models_dir_option
@json_option
def sample(
    model: str,
    prompt: str | None,
    escapes: bool,
    prompt_file: Path | None,
    prompts_file: Path | None,
    num_samples: int,
    sample_delimiter: str,
    no_prompt: bool,
    logprobs: int | None,
    color: bool,
    output: str | None,
    mark_copied: bool,
    corpus: str | None,
    engine: str,
    on_unknown: str,
    models_dir: Path,
    as_json: bool,
    **flags: Any,
) -> None:
    """Write text with MODEL, after a prompt or from nothing.

    The text streams to standard output. The same seed, prompt and settings give the same text.

    The settings act in this order, which is that of transformers: --repeat-penalty, --presence-penalty,
    --frequency-penalty; --no-repeat-ngram, --ban, --min-length, --must-include, --regex, --max-copy; --temperature;
    --top-k, --top-p, --min-p, --typical.
    """
    from textgen.errors import SettingError
    from textgen.generation.barred import Barred
    from textgen.generation.following import check_together
    from textgen.generation.generator import open_generator
    from textgen.generation.jobs import Job
    from textgen.generation.jobs import as_json as shown_as_json
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.unknown import describe_replacements

    config = sampling_config(**flags)
    check_together(config)
    _check_forms(output, color=color, as_json=as_json, marks=mark_copied, with_logprobs=logprobs is not None)
    if config.endless and (num_samples != 1 or output not in (None, "-") or as_json or prompts_file):
        raise SettingError(
            "`endless` text is written as it is made, to standard output. Leave out --num-samples, --output, --json "
            "and --prompts"
        )
    if corpus is not None and not (config.max_copy or mark_copied):
        raise SettingError("`corpus` is of use with `max_copy` or `mark_copied` only; add one of them")
    prompts = _prompts(prompt, escapes, prompt_file, prompts_file)
    stored = load_model(model, models_dir)
    if not stored.is_finished:
        step = stored.record.results.best_step
        tell(f"textgen: {stored.name} is not finished; this is its best at step {step:,}")
    if output or as_json or num_samples != 1:  # else it is written as it is made
        _check_room(stored, config, num_samples)
    if config.beams > 1:
        Barred.of(stored.tokenizer, config)  # refuses what cannot be
        tell(f"textgen: a beam of {config.beams:,} texts is followed, which takes as many times as long")
    notify = lambda replaced: tell(f"textgen: {describe_replacements(replaced)}")  # noqa: E731
    reasons: list[str] = []  # why texts ended, told behind the last of them
    click.get_current_context().call_on_close(lambda: _tell_all(reasons))
    generator = open_generator(stored, engine, on_unknown=on_unknown, on_replaced=notify, on_ended=reasons.append)
    index = open_index(stored, corpus) if config.max_copy or mark_copied else None
    if index is not None:
        generator.copy_index = lambda: index
    marked_by, is_held = index if mark_copied else None, output not in (None, "-")
    job = Job(generator, config, num_samples, logprobs, marked_by, has_many_prompts=prompts_file is not None)
    if color:
        _paint(job.surprising(prompts, unescape(sample_delimiter), with_prompt=not no_prompt), stored.tokenizer.level)
        job.check()
        return
    pieces: Iterable[tuple[str, bool]]
    if as_json:
        facts = _facts(stored, config, engine, on_unknown, num_samples)
        if index is not None and corpus is not None:
            facts["corpus"] = {"name": corpus, "sha256": index.text_sha256}
        documents = (job.documents(each, facts) for each in prompts)
        lines = ([document] for found in documents for document in found) if prompts_file else documents
        is_list = num_samples > 1 and not prompts_file
        pieces = ((shown_as_json(line, is_list=is_list), False) for line in lines if line)
    else:
        are_held = is_held or job.has_many_prompts
        pieces = job.texts(prompts, unescape(sample_delimiter), with_prompt=not no_prompt, are_held=are_held)
    pieces = list(pieces) if is_held else pieces
    if pieces or not job.failed:
        _write(pieces, output)
    job.check()


def _tell_all(reasons: list[str]) -> None:
    for reason in reasons:
        tell(f"textgen: {reason}")


def _check_forms(output: str | None, *, color: bool, as_json: bool, marks: bool, with_logprobs: bool) -> None:
    """Raise SettingError where the forms do not go together in which text is asked for."""
    from textgen.errors import SettingError

    if color and (output or as_json or marks or with_logprobs):
        raise SettingError(
            "--color is for text on standard output. Leave out --output, --json, --mark-copied and --logprobs"
        )
    if marks and with_logprobs and not as_json:
        raise SettingError("--mark-copied marks text, and --logprobs writes a table. Leave out one, or give --json")


def _prompts(prompt: str | None, escapes: bool, file: Path | None, prompts_file: Path | None) -> Iterable[str]:
    """The prompts, one or those of a file."""
    from textgen.errors import SettingError
    from textgen.generation.prompts import read_prompt, read_prompts

    if (prompt is not None) + (file is not None) + (prompts_file is not None) > 1:
        raise SettingError("give one of --prompt, --file and --prompts")
    if escapes and (file or prompts_file or prompt in (None, "", "-")):
        raise SettingError("--escapes is for the text of --prompt. Leave it out, or give the text there")
    notice = lambda note: tell(f"textgen: {note}")  # noqa: E731
    if prompts_file:
        return read_prompts(_on_disk(prompts_file), MAX_PROMPTS_BYTES, notice)
    if file or prompt == "-":
        return [read_prompt(_on_disk(file), MAX_PROMPT_BYTES, notice)]
    return [unescape(prompt) if prompt and escapes else prompt or ""]


def _on_disk(file: Path | None) -> Path | None:
    """A file; None is standard input, which `-` means."""
    return None if str(file) == "-" else file


def _check_room(stored: "StoredModel", config: SamplingConfig, num_samples: int) -> None:
    """Say how much memory the texts take that are held, if that is much; raise SettingError where it is too much."""
    from textgen.generation.sizes import check_samples, needed_bytes
    from textgen.memory import LARGE_BYTES, in_gb

    check_samples(stored.tokenizer, config, num_samples)
    if (needed := needed_bytes(stored.tokenizer, config, num_samples)) > LARGE_BYTES:
        tell(f"textgen: the texts are held until they are whole, which takes {in_gb(needed)} of memory")


def open_index(stored: "StoredModel", corpus: str | None) -> "CopyIndex":
    """The index of `corpus`, or without one the index of the model."""
    from textgen.generation.generator import copy_index_of

    if corpus is None:
        return copy_index_of(stored)
    from textgen.evaluation.copied import index_of

    index, notes = index_of(corpus, stored)
    for note in notes:
        tell(f"textgen: {note}")
    return index


def _facts(
    stored: "StoredModel", config: SamplingConfig, engine: str, on_unknown: str, num_samples: int
) -> dict[str, Any]:
    """With what each text was made, for `textgen replay`."""
    from textgen.records import version_of

    return {
        "settings": config.to_json(),
        "num_samples": num_samples,
        "on_unknown": on_unknown,
        "engine": engine,
        "model": stored.name,
        "model_sha256": stored.sha256,
        "textgen": version_of("textgen"),
    }


def _paint(pieces: Iterable[tuple[str, float]], level: str) -> None:
    """To standard output, in colours of bits."""
    from textgen.cli.colours import STRONGEST, behind

    write_painted((piece, behind(bits / STRONGEST[level])) for piece, bits in pieces)


def _write(pieces: Iterable[tuple[str, bool]], output: str | None) -> None:
    """To standard output piece by piece, or to a file as a whole; what is copied is bold there or between marks."""
    from textgen.errors import TextgenError
    from textgen.generation.copied_runs import with_marks
    from textgen.store.output_file import write_file

    if output is None or output == "-":
        if shows_styles():
            write_painted((piece, BOLD if is_copied else "") for piece, is_copied in pieces)
            return
        write = text_writer()
        for piece in with_marks(pieces):
            write(piece)
        return
    try:
        write_file(Path(output), "".join(with_marks(pieces)))
    except OSError as problem:
        raise TextgenError(f"cannot write {output}: {problem.strerror}") from None
