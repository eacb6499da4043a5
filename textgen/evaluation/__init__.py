"""How well a model predicts a text: nats and bits per character, and word perplexity.

    reading       a model -> the text that it is measured on
    texts         a text -> symbols that the model knows, token ids, and the size of the text
    neural_cache  the tokens that followed similar states, mixed into the model's probabilities
    one_pass      a text -> the figures under fixed weights, with NumPy
    surprisal     a text -> the surprisal of each symbol or word, its rank, and what was likelier
    gates         a text -> what the gates and states of all layers do while it is read, as it is shown
    unit_search   a text -> units whose state follows something that has a name
    dynamic       a text -> its nats under weights that follow it; the only one that imports TensorFlow
    copied        a text and another -> what of it stands there
    measuring     a model, what is asked of it, and a text -> all figures, for Python programs

Models of characters and of words are comparable: the nats of all tokens are added up, whatever a token is, and divided
by the characters of the text, or by its reference words. Those are the runs between white space, and one more for every
line end, as closed-vocabulary word models are measured. The end of a document counts as a line end, and as one
character.

The model's figures are those under fixed weights. With a cache, or with weights that follow the text, a model adapts to
the text while it is tested; these figures are given separately. Every token is predicted from those before it alone.
"""

from textgen.evaluation.one_pass import Evaluation, evaluate, evaluate_tokens
from textgen.evaluation.texts import Figures, TokenizedText, readable_blocks, tokenize

__all__ = [
    "Evaluation",
    "Figures",
    "TokenizedText",
    "evaluate",
    "evaluate_tokens",
    "readable_blocks",
    "tokenize",
]
