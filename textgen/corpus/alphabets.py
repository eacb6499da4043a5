"""What is frequent in which writing, and which encodings it was kept in before UTF-8: the tables of `likelihood`.

Letters stand in about the order of their frequency. Of Latin writing only the letters beyond ASCII are told, and short
words that are spelled without them, which tell languages apart. Of Chinese, Japanese and Korean the most frequent signs
are told; how frequent the others are follows from the part of the national standard that they stand in.
"""

from typing import NamedTuple


class Language(NamedTuple):
    """A language as far as its letters go; `words` are in ASCII, `script` is the first word of its letters' names."""

    script: str
    letters: str
    words: frozenset[str] = frozenset()
    level: tuple[str, int] = ("", 0)  # a national standard's codec, and the last first byte of its usual signs


def _latin(letters: str, words: str) -> Language:
    return Language("LATIN", letters, frozenset(words.split()))


LANGUAGES = {
    "English": _latin("éèêïçñöüáàâôœæ", "the a i of and to in that it was his he is with for as on at by her had not"),
    "French": _latin("éèàêçùâîôûëïœÿæ", "le la les de des du et un une que qui dans est pas pour sur il elle ne se"),
    "German": _latin("üäßöé", "der die das und ist nicht ein eine mit sich den dem von zu auf er sie es war im"),
    "Spanish": _latin("óíáéñúü¿¡", "el la los las de y que en un una por con no se su es lo del al para"),
    "Portuguese": _latin("ãçéáóêíõúâàô", "o a os as de e que do da em um uma com se por para na no mais foi"),
    "Catalan": _latin("àéóòèíúçïü", "el la els les de del i que un una per amb en no es si com al ha o us seu"),
    "Italian": _latin("èàòùìéÈ", "il la di e che un una non per con si del della le sono era gli nel al da"),
    "Dutch": _latin("ëéïèóüá", "de het een en van in is dat op te zijn niet met voor hij was aan er om ook"),
    "Nordic": _latin("äåöøæéÅ", "och att det som en av den var med inte han hon et og er jeg ikke til der de for"),
    "Finnish": _latin("äöå", "ja on ei oli se mutta kun han niin joka ovat hän"),
    "Icelandic": _latin("áíðóþéúýöæ", "og er sem ekki var hann hún til um en af"),
    "Albanian": _latin("ëç", "dhe i e me se ka nga ose do ky kjo u por nuk jo mund si"),
    "Polish": _latin("ęąłóżśćńź", "i w na z nie do to jest o po co jak ale od za by tym go"),
    "Czech": _latin("íáěéřčžýšůúťňďóľĺäôŕ", "a se na je v to s z do o za po by si tak jak ale jsem ke k u"),
    "Hungarian": _latin("áéőöóíüúű", "a az egy hogy nem meg volt van mint ha el ki is de"),
    "Romanian": _latin("ăîâșțşţ", "de la cu pe nu din care este un o sau mai ce fi lui"),
    "Croatian": _latin("čšžćđ", "i je u se na da su za od ne bio kao ali ili to"),
    "Turkish": _latin("ıüşğöçİâîû", "bir ve bu da de ne o ile gibi daha kadar ama var"),
    "Lithuanian": _latin("ėšąžįųčūę", "ir kad su tai yra kaip buvo bet ar per nuo po"),
    "Latvian": _latin("āēīšūžņļčģķ", "un ir ar par no kas uz ka bet bija es"),
    "Estonian": _latin("äõüöšž", "ja on ei ta et see oli kui aga mis ma"),
    "Esperanto": _latin("ĝĉŭŝĵĥ", "la kaj de en ne estas al mi vi li por kun sed ke el estis kiu tiu via"),
    "Vietnamese": _latin(  # of the tones, five are signs behind their letters in cp1258
        "\u0301\u0300đ\u0323ôâư\u0309ơêă\u0303", "cho trong khi con hai ba anh em ta nhau ra theo sau cao xem hay ai"
    ),
    "Russian": Language("CYRILLIC", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"),
    "Ukrainian": Language("CYRILLIC", "оаинвіетрслкудмпзяьбгчйхжєїщшюцґ"),
    "Belarusian": Language("CYRILLIC", "анеіырлякстцпдомвьузбўэчгшйхжюёф"),
    "Bulgarian": Language("CYRILLIC", "аоиетнрсвлкдпмзуъягбчжщшцйхфюь"),
    "Serbian": Language("CYRILLIC", "аоиенсртјукдвмлпзгбљцчхшжњћђфџѓќѕ"),
    "Kazakh": Language("CYRILLIC", "аенытірлқдмсіобкғузшңпжйгүәхұөиюячвфцэщһьъё"),
    "Tajik": Language("CYRILLIC", "аиондрмтбшкхҳуғӣеёвлзгқпсҷӯяйфэъжчюьыцщ"),
    "Greek": Language("GREEK", "αοιτενσηυρπκμλςωάόίέγδήχθύφβώξζψϊϋΐΰ"),
    "Arabic": Language("ARABIC", "اليمنوترهبعدسفكحقجأةشىصطخضذزإغئثءآظؤپچگژک"),
    "Hebrew": Language("HEBREW", "יוהלאתרבשמנדחכקפעםטזסגןצךףץ"),
    "Thai": Language("THAI", "านรอกเงมยลวดทสตะปบคหแจพชขใไโผซถณธญภฉษศฟฮฝ่้ีัิื็์ุูำึๆๅฯ"),
    "Chinese": Language(
        "CJK",
        "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然"
        "家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把"
        "机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果"
        "加西月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更"
        "别打女变四神总何电数安少报才结反受目太量再感建务做接必场件路边早城远风雨夜听家坐望",
        level=("gb2312", 0xD7),
    ),
    "Chinese, traditional": Language(
        "CJK",
        "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然"
        "家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把"
        "機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果"
        "加西月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更"
        "別打女變四神總何電數安少報才結反受目太量再感建務做接必場件路邊早城遠風雨夜聽家坐望",
        level=("big5", 0xC6),
    ),
    "Japanese": Language(
        "HIRAGANA",
        "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入"
        "選立開手米力学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強"
        "気小七成期公野協取都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書"
        "活原先共得解名交資予川向際査勝面委告軍文反元重近千考判認画海参売利組知案道信策集件団別物側任引使求所次水半品昨論"
        "計死官増係感特情投示変打男私各始島直朝車夫待読聞彼老座町雨風夜急音毎春夏秋冬花空雪酒美何隣戸",
        level=("euc_jp", 0xCF),
    ),
    "Korean": Language(
        "HANGUL",
        "이다는에의가고을하지로기사한은도를대인어나자시아서리일정해라스그만부장전수있보상제들구국과여것년니주조와었거습면게원"
        "동성비공경연적치유신관안중무소진문우선금영위내회오물방되미생으했까개재말학던세데모없용때러단월히실발계체력간운행마"
        "날산명교속른음번같더려았알본며식분화등당요불심였반래터파피차름집드바저민길못좋님녕네밤눈",
        level=("euc_kr", 0xC8),
    ),
}  # fmt: skip

# Letters beyond ASCII that are words, and those that words end in where that is not any.
ALONE_LETTERS = {
    "French": "àô",
    "Spanish": "óúé",
    "Portuguese": "éàáó",
    "Catalan": "é",
    "Italian": "è",
    "Nordic": "åöéø",
    "Icelandic": "áíó",
    "Polish": "ó",
    "Czech": "íó",
    "Hungarian": "őóé",
    "Russian": "авикосуяёэ",
    "Ukrainian": "аіїзйвоуєя",
    "Bulgarian": "авиосуй",
    "Serbian": "аиоусјк",
    "Kazakh": "о",
    "Tajik": "уо",
    "Greek": "ηοήώό",
    "Arabic": "و",
}
LAST_LETTERS = {"English": "éëö"}

# What stands alone, at the beginnings of lines or between numbers; behind letters; and at numbers, on either side.
BULLETS, TRADE_MARKS = "•·–—×÷±§©®¶†‡►■●", "™®©†‡ªº°²³¹"
BEFORE_NUMBERS, AFTER_NUMBERS = "£€¥§±×÷¶–", "°²³¹€½¼¾‰%×÷±ªº–"
# The most usual first.
USUAL_SIGNS = "’“”—–«»…„‘\xa0°€£•µ±©§×½²‚›‹®·³™¼¾¹†¶¢¥ªº‰÷‡"
CJK_SIGNS = "，。、：；？！“”「」『』（）…—《》·‘’〈〉ー〜～　【】・—―［］々"

APOSTROPHE, DASHES = "’", "–—"
OPENING, CLOSING = "“„‘«‹¿¡「『（《", "”»›」』）》"
OPENING_ALONE, CLOSING_ALONE = "“„‘", "”’"  # of them, those that no language uses the other way round or with spaces
SENTENCE_SIGNS = OPENING + CLOSING + CJK_SIGNS + APOSTROPHE + DASHES + "…"  # what stands beside words
EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH", "FULLWIDTH", "HANGUL", "IDEOGRAPHIC"}

WESTERN = (
    "English", "French", "German", "Spanish", "Portuguese", "Italian", "Dutch", "Nordic", "Finnish", "Icelandic",
    "Estonian", "Catalan", "Albanian",
)  # fmt: skip
CENTRAL = ("Polish", "Czech", "Hungarian", "Romanian", "Croatian", "German")
BALTIC = ("Lithuanian", "Latvian", "Estonian")
CYRILLIC = ("Russian", "Ukrainian", "Bulgarian", "Serbian", "Belarusian")
CHINESE = ("Chinese", "Chinese, traditional")

# Each with the languages that are looked for in it, and the bits that it must be better by than the most usual one.
ENCODINGS: dict[str, tuple[tuple[str, ...], float]] = {
    "cp1252": (WESTERN, 0),
    "iso8859-15": (WESTERN, 3),
    "mac-roman": (WESTERN, 2),
    "cp850": (WESTERN, 4),
    "cp437": (WESTERN, 5),
    "hp-roman8": (WESTERN, 12),
    "cp1250": (CENTRAL, 2),
    "iso8859-2": (CENTRAL, 3),
    "cp852": (CENTRAL, 5),
    "mac-latin2": (CENTRAL, 6),
    "cp1254": (("Turkish",), 2),
    "cp857": (("Turkish",), 6),
    "mac-turkish": (("Turkish",), 6),
    "cp861": (("Icelandic",), 6),
    "mac-iceland": (("Icelandic",), 6),
    "cp860": (("Portuguese",), 6),
    "mac-croatian": (("Croatian",), 6),
    "iso8859-3": (("Esperanto",), 10),
    "cp1258": (("Vietnamese",), 2),
    "cp1257": (BALTIC, 3),
    "iso8859-13": (BALTIC, 4),
    "iso8859-4": (BALTIC, 6),
    "cp775": (BALTIC, 6),
    "cp1251": (CYRILLIC, 0),
    "koi8-r": (("Russian",), 1),
    "koi8-u": (("Ukrainian",), 2),
    "cp866": (("Russian",), 2),
    "iso8859-5": (CYRILLIC, 4),
    "mac-cyrillic": (CYRILLIC, 4),
    "cp855": (CYRILLIC, 6),
    "cp1125": (("Ukrainian",), 5),
    "kz1048": (("Kazakh",), 14),
    "ptcp154": (("Kazakh",), 16),
    "koi8-t": (("Tajik",), 14),
    "cp1253": (("Greek",), 1),
    "iso8859-7": (("Greek",), 2),
    "cp737": (("Greek",), 5),
    "cp869": (("Greek",), 6),
    "mac-greek": (("Greek",), 6),
    "cp1256": (("Arabic",), 1),
    "iso8859-6": (("Arabic",), 3),
    "cp720": (("Arabic",), 6),
    "cp1255": (("Hebrew",), 1),
    "iso8859-8": (("Hebrew",), 3),
    "cp862": (("Hebrew",), 6),
    "cp874": (("Thai",), 1),
    "shift_jis": (("Japanese",), 1),
    "cp932": (("Japanese",), 1.5),
    "euc_jp": (("Japanese",), 1),
    "gb18030": (CHINESE, 1),
    "big5": (CHINESE[::-1], 1),
    "cp950": (CHINESE[::-1], 1.5),
    "big5hkscs": (CHINESE[::-1], 2),
    "cp949": (("Korean",), 1),
    "johab": (("Korean",), 6),
    "utf-16-le": (tuple(LANGUAGES), 8),
    "utf-16-be": (tuple(LANGUAGES), 10),
    "utf-8": (tuple(LANGUAGES), 0),
}
