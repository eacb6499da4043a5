"""Texts that tokenizers stumble over, for the tests of all of them."""

from hypothesis import strategies as st

ENGLISH = (
    '"Well, Prince," said Anna Pávlovna, "so Genoa and Lucca are now just family estates of the Buonapartes."\n'
    "It's 1,805 \u2014 don\u2019t you think? \u2018Rock \u2019n\u2019 roll\u2019 isn't it... "
    "(O'Neill's crème brûlée cost $3.50!)\n"
)
HARD_TEXTS = {
    "English": ENGLISH,
    "Chinese": "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少？ Python 3.11很好用。\n",
    "Japanese": "吾輩は猫である。名前はまだ無い。コーヒーｶﾞか\u3099々。\n",
    "Russian": "Все счастливые семьи похожи друг на друга, и\u0306е\u0308…\n",
    "Thai": "สวัสดีชาวโลก ๑๒๓ ที่นี่\n",
    "Hindi": "नमस्ते क्\u200dष\n",
    "source code": 'def f(x_1, *, y=0.5e-3):\r\n\treturn {"a": [x_1[i] for i in x], "b": y != 0}  # no\r\n\r\n\r\n',
    "emoji": "👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 ok👍\U0001f3fd 1\ufe0f\u20e3 🇩🇪\n",
    "combining marks": "e\u0301 é a\u0323\u0302 ﬁ ½ \u0301b c'\u0301d e\u0301'f Z\u0334\u0351\u0351a\u0327l\u0321go\n",
    "line ends": "a\r\nb\rc\nd\u2028e\u0085f\u2029g\x0bh\x0ci",
    "tabs and spaces": "\ta\t\tb  c   \t d \u00a0 e\u3000f    \n   \n",
    "NUL": "\0a\0\0b \0",
    "byte order mark": "\ufefftext\ufeff",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202eabc\u202c \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "the last code points": "\U0010ffff\U0010fffe\uffff\ue000",
    "around the surrogates": "\ud7ff\ue000",
    "long runs": "x" * 200 + " " * 130 + "y" * 65 + "春" * 70 + "!" * 129 + "e" + "\u0301" * 150 + "\n" * 99 + "'" * 66,
    "apostrophes": "'tis o' the dogs' 'em 'n' a'b'c '' d''e f\u2019g' '\u2019h 1'2 i'3",
}
ALL_SYMBOLS = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
# What is in the texts, and one of every hundred others.
SOME_SYMBOLS = "".join(sorted({*"".join(HARD_TEXTS.values()), *ALL_SYMBOLS[::97]}))

# Text of everything at once: pieces of the texts above, any symbols, and runs.
FRAGMENTS = sorted({text[i : i + 7] for text in HARD_TEXTS.values() for i in range(0, min(len(text), 200), 5)})
mixed_texts = st.lists(
    st.one_of(
        st.sampled_from(FRAGMENTS),
        st.text(max_size=10),
        st.text(st.sampled_from(" abé1'\u2019.\t\n春\u0e01\u0e35\u0301\u200d\u200c"), max_size=10),
        st.builds(str.__mul__, st.sampled_from(" ab.\n\u0301春"), st.integers(60, 70)),
    ),
    max_size=6,
).map("".join)
