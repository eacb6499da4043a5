"""What is asked of a model beside completions: the likeliest next pieces, the bits of a text, its tokens.

The last are those of vLLM's server (`/tokenizer_info`, `/tokenize`, `/detokenize`), by which the lm-evaluation-harness
cuts its tasks into tokens. There `<eod>` alone is the end of a document, where the model knows one. Where it knows
none, `<start>` alone is what `evaluate` reads before a text.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Generator as Slices
from typing import Any

from textgen.errors import TextgenError
from textgen.generation.ending import with_start
from textgen.serving.answers import READ_AT_ONCE
from textgen.serving.completions import ids_of
from textgen.serving.errors import RefusalError
from textgen.serving.orders import text_of, whole
from textgen.serving.writer import Writer
from textgen.tokenizers import Tokenizer

MOST_ALTERNATIVES = 50
MOST_READ = 100_000  # characters of a text that is read at once, and not in slices
END, START = "<eod>", "<start>"


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
    """The bits of each symbol or word of a text, and how many characters the model does not know.

    The pieces are those of the text as it was given, wherever what was read of it can be found there. What the model
    does not know stands with the piece before it.
    """
    from textgen.evaluation.surprisal import ScoredText, empty_scores, fill_scores  # noqa: PLC0415
    from textgen.evaluation.texts import readable_blocks, tokenize  # noqa: PLC0415

    generator, tokenizer, text = writer.generator, writer.generator.tokenizer, _text(document, "text")
    forms: dict[str, str] = {}
    try:
        tokens = tokenize(readable_blocks([generator.with_ends(text)], tokenizer, forms.update), tokenizer)
    except TextgenError as problem:
        raise RefusalError(400, str(problem), param="text") from None
    scores = empty_scores(len(tokens.token_ids) - 1, writer.engine)
    for _ in fill_scores(scores, tokens.token_ids, writer.engine):
        yield
    scored = ScoredText(tokens, tokenizer, scores)
    end = tokenizer.document_separator or ""
    read, bits = zip(*((place.text or end, place.bits) for place in scored.places()), strict=True)
    left_out = sum(text.count(symbol) for symbol, form in forms.items() if not form)
    figures = {"total_bits": scored.total_bits, "bits_per_character": scored.figures.bits_per_character}
    return {
        "pieces": [*map(list, zip(as_given(text, read, forms), bits, strict=True))],
        **figures,
        "left_out": left_out,
    }


def as_given(text: str, read: Sequence[str], forms: Mapping[str, str]) -> Sequence[str]:
    """The pieces `read` as they stand in `text`, of which they are all; or `read`, where they are not found there.

    Args: forms: what was read in place of a symbol, "" where it was left out.
    """
    ends, found, at = [0], list[str](), 0  # where each character that was read ends in the text
    pattern = "|".join(map(re.escape, sorted(forms, key=len, reverse=True))) or "(?!)"
    for match in re.finditer(pattern, text):
        form = forms[match[0]]
        found += text[at : match.start()], form
        ends += [*range(at + 1, match.start() + 1), *[match.end()] * len(form)]
        at = match.end()
        if not form and len(ends) > 1:
            ends[-1] = at
    found.append(text[at:])
    ends += range(at + 1, len(text) + 1)
    if "".join(found) != "".join(read):
        return read
    places = [0, *itertools.accumulate(map(len, read))]
    return [text[ends[start] : ends[stop]] for start, stop in itertools.pairwise(places)]


def mark_of(tokenizer: Tokenizer) -> str:
    """What stands for the token before a text."""
    return START if tokenizer.eod_id is None else END


def about_tokens(writer: Writer, document: dict[str, Any]) -> dict[str, Any]:
    """What a text begins with and ends with.

    A text without an end has a token for it nevertheless, which no text holds: the harness takes a start of id 0 for
    none, and then the end in its place.
    """
    tokenizer = writer.generator.tokenizer
    mark = mark_of(tokenizer)
    return {"tokenizer_class": tokenizer.level, "bos_token": mark, "eos_token": mark}


def tokens_of(writer: Writer, document: dict[str, Any]) -> dict[str, Any]:
    """The ids of a text as it stands, its last space too."""
    generator, text = writer.generator, _text(document, "prompt")
    is_mark = text == mark_of(generator.tokenizer)
    ids = [generator.tokenizer.start_id] if is_mark else generator.token_ids(text).tolist()
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
