"""What stands for a symbol that looks like others: quotes, dashes, spaces, and letters without decomposition.

A model that was trained on straight quotes is asked with typographic ones, and the other way. A symbol that it has
never seen is read as the first of its forms whose symbols it all knows.
"""

# What it is read as, best first, for each symbol of a group; none of them for itself.
GROUPS = (
    ("'\u2019\u2018\u02bc\u2032\u00b4`\u201b\u201a\u2039\u203a", ("'", "\u2019", "\u2018", "\u2032", "\u00b4", "`")),
    ('"\u201c\u201e\u201f\u00ab\u300c\u300e\u301d', ('"', "\u201c", "\u201e", "\u00ab", "\u300c", "'", "\u2018")),
    ("\u201d\u00bb\u300d\u300f\u301e", ('"', "\u201d", "\u201c", "\u00bb", "\u300d", "'", "\u2019")),
    ("\u2033", ('"', "''", "\u201d")),
    (
        "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\u2043",
        ("-", "\u2013", "\u2014", "\u2010", "\u2212", "\u2012", "\u2015"),
    ),
    (" \u00a0\u1680\u3000\u202f\u205f\t\r\u2028\u2029", (" ", "\u00a0", "\u3000")),
    ("".join(map(chr, range(0x2000, 0x200B))), (" ", "\u00a0", "\u3000")),
    ("\u2022\u00b7\u2027\u2219\u30fb\u22c5", ("\u2022", "\u00b7", "\u30fb", "*", "-")),
    ("\u2026", ("...",)),
    ("\u2044\u2215", ("/",)),
    ("\u00d7", ("x",)),
    ("~\u223c\u301c\uff5e", ("~", "\u301c", "\uff5e")),
    # European and Chinese marks
    (".\u3002", (".", "\u3002")),
    (",\u3001", (",", "\uff0c", "\u3001")),
    ("(\u3010\u3014", ("(", "\uff08", "\u3010")),
    (")\u3011\u3015", (")", "\uff09", "\u3011")),
    # Letters of Arabic keyboards and of Persian ones
    ("\u0643\u06a9", ("\u0643", "\u06a9")),
    ("\u064a\u06cc\u0649", ("\u064a", "\u06cc")),
    *((symbols, tuple(symbols)) for symbols in (f"{n}{chr(0x660 + n)}{chr(0x6F0 + n)}" for n in range(10))),
    # Letters that have no decomposition
    ("\u00e6", ("ae",)),
    ("\u00c6", ("AE", "ae")),
    ("\u0153", ("oe",)),
    ("\u0152", ("OE", "oe")),
    ("\u00f8", ("\u00f6", "o")),
    ("\u00d8", ("\u00d6", "O", "o")),
    ("\u0142", ("l",)),
    ("\u0141", ("L", "l")),
    ("\u0111\u00f0", ("d",)),
    ("\u0110\u00d0", ("D", "d")),
    ("\u0127", ("h",)),
    ("\u0126", ("H", "h")),
    ("\u0167", ("t",)),
    ("\u0166", ("T", "t")),
    ("\u0131", ("i",)),
    ("\u00fe", ("th",)),
    ("\u00de", ("Th", "th")),
)
LOOK_ALIKES = {
    symbol: tuple(form for form in forms if form != symbol) for symbols, forms in GROUPS for symbol in symbols
}
WIDER = 0xFEE0  # from an ASCII symbol to the same one as wide as an ideograph
LOOK_ALIKES |= {chr(code): (*LOOK_ALIKES.get(chr(code), ()), chr(code + WIDER)) for code in range(0x21, 0x7F)}
