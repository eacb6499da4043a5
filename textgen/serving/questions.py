"""What is asked of a model beside completions: the likeliest next pieces, the bits of a text, its tokens.

The last are those of vLLM's server (`/tokenizer_info`, `/tokenize`, `/detokenize`), by which the lm-evaluation-harness
cuts its tasks into tokens. There `<eod>` alone is the end of a document, where the model knows one.
"""

from collections.abc import Callable
from collections.abc import Generator as Slices
from typing import Any

from textgen.generation.ending import with_start
from textgen.serving.answers import READ_AT_ONCE
from textgen.serving.completions import ids_of
from textgen.serving.errors import RefusalError
from textgen.serving.orders import text_of, whole
from textgen.serving.writer import Writer

MOST_ALTERNATIVES = 50
MOST_READ = 100_000  # characters of a text that is read at once, and not in slices
END = "<eod>"


def alternatives(writer: Writer, document: dict[str, Any]) -> Slices[None, None, dict[str, Any]]:
    """The likeliest pieces after a text, with their probabilities, and the probability of its end."""
    from textgen.generation import alternatives as finding  # noqa: PLC0415

    generator, count = writer.generator, whole(document, "k", 5, 1, MOST_ALTERNATIVES)
    token_ids = generator.token_ids(generator.readable_prompt(_text(document, "text")))
    read_ids, context = with_start(token_ids, generator.tokenizer), None
    for start in range(0, max(1, len(read_ids)), READ_AT_ONCE):
        context = writer.engine.read(read_ids[start : start + READ_AT_ONCE], context)
        yield
    assert context is not None
    found = finding.alternatives(writer.engine, generator.tokenizer, context, count)
    pieces = [[piece.text, piece.probability] for piece in found.pieces]
    return {"alternatives": pieces, "end": None if generator.tokenizer.eod_id is None else found.end}


def score(writer: Writer, document: dict[str, Any]) -> Slices[None, None, dict[str, Any]]:
    """The bits of each symbol or word of a text."""
    from textgen.evaluation.surprisal import ScoredText, empty_scores, fill_scores  # noqa: PLC0415
    from textgen.evaluation.texts import readable_blocks, tokenize  # noqa: PLC0415

    tokenizer = writer.generator.tokenizer
    blocks = readable_blocks([_text(document, "text")], tokenizer, lambda replaced: None)
    tokens = tokenize(blocks, tokenizer)
    scores = empty_scores(len(tokens.token_ids) - 1, writer.engine)
    for _ in fill_scores(scores, tokens.token_ids, writer.engine):
        yield
    scored = ScoredText(tokens, tokenizer, scores)
    pieces = [[place.text, place.bits] for place in scored.places()]
    bits = scored.figures.bits_per_character
    return {"pieces": pieces, "total_bits": scored.total_bits, "bits_per_character": bits}


def about_tokens(writer: Writer, document: dict[str, Any]) -> dict[str, Any]:
    """What a text begins with and ends with."""
    tokenizer = writer.generator.tokenizer
    if tokenizer.eod_id is not None:
        return {"tokenizer_class": tokenizer.level, "bos_token": END, "eos_token": END}
    return {"tokenizer_class": tokenizer.level, "bos_token": tokenizer.pieces[tokenizer.start_id], "eos_token": None}


def tokens_of(writer: Writer, document: dict[str, Any]) -> dict[str, Any]:
    """The ids of a text as it stands, its last space too."""
    generator, text = writer.generator, _text(document, "prompt")
    is_end = text == END and generator.tokenizer.eod_id is not None
    ids = [generator.tokenizer.eod_id] if is_end else generator.token_ids(text).tolist()
    return {"count": len(ids), "max_model_len": None, "tokens": ids}


def text_of_tokens(writer: Writer, document: dict[str, Any]) -> dict[str, Any]:
    """The text of ids."""
    ids = document.get("tokens")
    if not isinstance(ids, list) or len(ids) > MOST_READ:
        raise RefusalError(400, f"`tokens` must be a list of {MOST_READ:,} ids at most", param="tokens")
    tokenizer = writer.generator.tokenizer
    return {"prompt": tokenizer.decode(ids_of(ids, tokenizer, "tokens"), END)}


def _text(document: dict[str, Any], name: str) -> str:
    text = text_of(document, name)
    if len(text) > MOST_READ:
        raise RefusalError(413, f"`{name}` has more than {MOST_READ:,} characters", param=name)
    return text


QUESTIONS: dict[str, Callable[[Writer, dict[str, Any]], Any]] = {  # a slice at a time where it may take long
    "/v1/alternatives": alternatives,
    "/v1/score": score,
    "/tokenizer_info": about_tokens,
    "/tokenize": tokens_of,
    "/detokenize": text_of_tokens,
}
