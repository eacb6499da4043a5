"""The page of `textgen score`: a text with the colour of each symbol's or word's surprisal behind it.

The data are columns of numbers, and each piece of the vocabulary that the page shows stands there once: about 26 bytes
a token, which base64 makes 35.
"""

import numpy as np

from textgen.evaluation.surprisal import ScoredText
from textgen.messages import counted
from textgen.pages.template import asset, escape, packed, page

CERTAIN = 2**16 - 1  # what stands for the probability 1


def score_page(scored: ScoredText, model: str, file: str) -> str:
    """The page, as HTML.

    Args:
        model, file: their names, as they are to be shown.
    """
    what = "word" if scored.tokenizer.level == "word" else "symbol"
    figures = scored.figures
    facts = [
        ("bits per character", f"{figures.bits_per_character:.3f}"),
        ("bits in all", f"{scored.total_bits:,.0f}"),
        ("characters", f"{scored.tokens.characters:,}"),
    ]
    if figures.word_perplexity is not None:
        facts.append(("word perplexity", f"{figures.word_perplexity:,.1f}"))
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return page(
        f"What surprises {model} in {file}",
        BODY.format(model=escape(model), file=escape(file), what=what, facts=listed, whats=f"{what}s"),
        style=asset("score.css"),
        script=asset("score.js"),
        data=_data(scored, what),
    )


def _data(scored: ScoredText, what: str) -> dict[str, object]:
    scores = scored.scores
    shown, places = np.unique(np.concatenate([scored.token_ids, scores.likeliest.ravel()]), return_inverse=True)
    small = np.uint16 if len(shown) <= 2**16 else np.uint32
    tokens, likeliest = np.split(places.astype(small), [len(scored.token_ids)])
    ranks = scores.ranks.astype(np.uint16 if scored.tokenizer.vocabulary_size < 2**16 else np.uint32)
    top = np.argsort(-scored.bits, kind="stable")[:10]
    return {
        "what": what,
        "vocabulary": counted(scored.tokenizer.vocabulary_size, "token" if what == "word" else "symbol"),
        "pieces": [scored.tokenizer.pieces[i] for i in shown.tolist()],
        "end": int(np.flatnonzero(shown == scored.tokenizer.eod_id)[0]) if scored.tokenizer.eod_id in shown else None,
        "wide": [tokens.dtype == np.uint32, ranks.dtype == np.uint32],
        "tokens": packed(tokens),
        "bits": packed((scores.nats / np.log(2)).astype(np.float32)),
        "ranks": packed(ranks),
        "likeliest": packed(likeliest),
        "shares": packed(np.rint(scores.probabilities * CERTAIN).astype(np.uint16)),
        "starts": packed(scored.starts.astype(np.uint32)),
        "lineBits": packed(scored.line_bits().astype(np.float32)),
        "top": top.tolist(),
    }


BODY = """\
<h1>What surprises <span class="name">{model}</span></h1>
<p class="lead">Each {what} of <span class="name">{file}</span>, and how surprising it was to the model that had read
what stands before it. The stronger the colour, the more surprising. One bit is a coin toss; ten bits are one chance in
a thousand.</p>
<dl class="facts">{facts}</dl>
<noscript><p>The text and its figures are drawn by a script, which this browser does not run.</p></noscript>
<h2 id="most">The most surprising places</h2>
<ol id="top" class="places"></ol>
<section>
<h2>The text</h2>
<p class="small muted">Point at a {what}, or press Tab and the arrow keys, to see what the model expected there. The
figures at the left are the bits of each line.</p>
<div class="controls">
  <label for="strongest">Strongest colour from</label>
  <input id="strongest" type="range" min="1" max="24" step="0.5">
  <output id="strongest-shown" class="number small" for="strongest"></output>
  <span class="ramp" aria-hidden="true"></span>
</div>
<nav id="parts" class="controls" aria-label="Parts of the text" hidden>
  <button id="before">Earlier</button>
  <span id="part" class="small muted number"></span>
  <button id="after">Later</button>
</nav>
<div id="text" class="text scored" tabindex="0" role="group" aria-label="The text, {what} by {what}"></div>
<aside id="details" class="panel" aria-live="polite"></aside>
</section>
"""
