"""Text as arrays and as bytes, whatever it holds."""

from hypothesis import given
from hypothesis import strategies as st

from textgen.config import END_OF_DOCUMENT
from textgen.tokenizers.text_blocks import code_points, to_utf_8

TEXTS = st.text(st.sampled_from([END_OF_DOCUMENT, "a", "é", "\0", "\1", "\2", "\3", "\ud800", "\U0010ffff"]))


@given(TEXTS)
def test_code_points_are_those_of_every_character(text):
    assert code_points(text).tolist() == [ord(symbol) for symbol in text]


@given(TEXTS)
def test_bytes_are_those_of_python(text):
    assert to_utf_8(text) == text.encode("utf-8", "surrogatepass")
