"""Ordinary sentences of many languages, each with the old encodings that its writers used. Written for these tests."""

import unicodedata

TONES = "\u0300\u0301\u0303\u0309\u0323"


def tones_apart(text: str) -> str:
    """Vietnamese as cp1258 holds it: letters, with the signs of their tones behind them."""
    apart = []
    for letter in text:
        parts = unicodedata.normalize("NFD", letter)
        apart += [unicodedata.normalize("NFC", "".join(p for p in parts if p not in TONES))]
        apart += [p for p in parts if p in TONES]
    return "".join(apart)


# language -> (encodings, a paragraph, short texts)
TEXTS = {
    "English": (
        ("cp1252", "mac_roman"),
        "“I won’t go,” said the old man, and he didn’t. The winter "
        "had been long — longer than any that he remembered — "
        "and the café at the corner was still closed. “It’s all the "
        "same to me,” she answered. They walked on… Nobody’s "
        "dog barked. The naïve young clerk paid £3 for a cup of tea and wrote his résumé by the window.\n",
        ("“Hi” he said\n", "It’s late — don’t wait.\n", "The girls’ room cost £20 a week.\n"),
    ),
    "French": (
        ("cp1252", "iso8859-15", "mac_roman", "cp850", "cp437"),
        "Il était une fois, dans un village près de la forêt, un "
        "garçon qui rêvait de voir la mer. Sa mère lui répétait "
        "chaque soir : « Tu iras là-bas quand tu seras grand. » Mais "
        "le garçon était pressé, et à l’aube il partit sans "
        "bruit. Où allait-il ? Personne ne l’a jamais su. Cet "
        "été-là, les pêcheurs trouvèrent une lettre mouillée.\n",
        ("L’été est déjà fini, dit-elle à sa mère.\n", "Le garçon a mangé une pêche près de la fenêtre.\n"),
    ),
    "German": (
        ("cp1252", "iso8859-15", "mac_roman", "cp850"),
        "Früh am Morgen ging der Müller über die Brücke. Die Straße "
        "war noch naß, und in den Gärten blühten die Äpfel. "
        "„Schönes Wetter“, sagte er zu seiner Frau, die größer war "
        "als er und süße Brötchen für die Gäste buk. Später "
        "hörte man im Dorf, daß der König käme; doch niemand wußte, weshalb er die Mühle sehen wollte.\n",
        ("Die Männer hörten die Glocke über dem Fluß.\n", "Wir müssen für die Gäste größere Stühle kaufen.\n"),
    ),
    "Spanish": (
        ("cp1252", "iso8859-15", "mac_roman", "cp850"),
        "¿Quién llamó anoche? La niña no contestó; miró por la ventana "
        "y vio que el jardín estaba vacío. Mañana vendrá el "
        "médico, dijo su tía, y todo será más fácil. El señor Núñez, "
        "que había vivido allí muchos años, cerró la puerta y "
        "se marchó sin decir adiós. ¡Qué extraño! Después llegó el otoño y nadie volvió a la montaña.\n",
        ("El niño comió una piña en el jardín.\n", "¿Dónde está la montaña más pequeña?\n"),
    ),
    "Portuguese": (
        ("cp1252", "iso8859-15"),
        "A avó não sabia ler, mas contava histórias até de manhã. "
        "O coração da cidade é a estação, onde os irmãos vendem "
        "pão e maçãs. Então começou a chover; as crianças correram para o portão e ninguém mais falou da viagem. "
        "Amanhã será outro dia, disse João, e não há razão para ficarmos aqui à espera do último comboio.\n",
        ("Não há pão na estação, disse o irmão.\n",),
    ),
    "Swedish": (
        ("cp1252", "iso8859-15"),
        "På våren går alla ut i skogen för att plocka blåsippor. Gubben "
        "satt kvar på trappan och såg när båten lade till "
        "vid ön. Här är det tyst, tänkte han, men det är också vackert. "
        "Hans äldsta dotter åkte till Göteborg förra året "
        "och har ännu inte skrivit något brev hem; mor säger att hon säkert mår bra.\n",
        ("Båten går från ön på måndag.\n",),
    ),
    "Polish": (
        ("cp1250", "iso8859-2"),
        "Była już późna jesień, gdy wrócił do rodzinnej wsi. Na drodze "
        "nikt go nie poznał, choć wszyscy patrzyli przez "
        "okna. Stara sąsiadka powiedziała, że źle wygląda i że powinien "
        "coś zjeść. Usiadł więc przy stole, wziął łyżkę "
        "i zaczął opowiadać o mieście, o długiej podróży i o tym, że chciałby zostać tu już na zawsze.\n",
        ("Książka leży na stole, a żółty kot śpi.\n",),
    ),
    "Czech": (
        ("cp1250", "iso8859-2"),
        "Bylo krásné letní ráno a děti běžely k řece. Starý rybář "
        "už tam seděl a říkal, že dnes žádná ryba nepřijde. "
        "Nejmladší chlapec se smál a házel do vody kamínky. Když "
        "přišel večer, všichni se vrátili domů a maminka jim "
        "dala chléb s máslem. Potom ještě dlouho vyprávěli, co všechno viděli, a usnuli až o půlnoci.\n",
        ("Příliš žluťoučký kůň stál u řeky.\n",),
    ),
    "Hungarian": (
        ("cp1250", "iso8859-2"),
        "Az öreg halász minden reggel kiült a tó partjára, és várta, "
        "hogy fölkeljen a nap. Azt mondta, hogy régen több "
        "hal volt, és a víz is tisztább volt. Az unokája mellette "
        "ült, és hűvös szél fújt a nádasból. Később hazamentek, "
        "tüzet raktak, és együtt főzték meg az ebédet, amíg kint esett az eső.\n",
        ("A kislány örült, hogy végre esik az eső.\n",),
    ),
    "Russian": (
        ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac_cyrillic"),
        "Старик жил один на краю деревни, у самого леса. Каждое утро "
        "он выходил на крыльцо, смотрел на дорогу и думал, что "
        "сегодня наконец приедет сын. «Не ждите его», — говорила соседка, но он только качал головой. Зимой дорогу "
        "заносило снегом, и тогда во всей округе не было слышно ни звука. Однажды вечером в дверь постучали.\n",
        ("Привет, как дела?\n", "Она закрыла окно и села к столу.\n", "Мама мыла раму.\n"),
    ),
    "Ukrainian": (
        ("cp1251", "koi8-u"),
        "Дівчина стояла біля вікна й дивилася, як падає сніг. Її брат "
        "ще не повернувся з міста, і в хаті було тихо. Мати "
        "сказала, що він приїде завтра, якщо не замете дорогу. Але "
        "вона знала, що він їде вже сьогодні, бо їй снився "
        "кінь на подвір'ї. Увечері загавкав собака, і всі вибігли на ґанок.\n",
        ("Її брат приїде завтра, якщо не буде снігу.\n",),
    ),
    "Belarusian": (
        ("cp1251", "iso8859-5", "mac_cyrillic"),
        "Дзяўчына стаяла ля акна і глядзела, як падае снег. Яе брат яшчэ не вярнуўся з горада, і ў хаце было ціха. "
        "Маці сказала, што ён прыедзе заўтра, калі не замяце дарогу. Але яна ведала, што ён едзе ўжо сёння.\n",
        ("Яе брат прыедзе заўтра, калі не будзе снегу ў полі.\n",),
    ),
    "Catalan": (
        ("cp1252", "mac_roman"),
        "El vell seia cada matí davant del mar i mirava les barques. La seva dona deia que esperava el fill, que "
        "havia marxat feia molts anys. Ningú no sabia si encara era viu, però una nit, quan bufava un vent molt "
        "fort, algú va trucar a la porta. Això és tot el que se’n va saber, i la història no té cap altre final.\n",
        ("Però això no és cap raó perquè ningú no sàpiga la història.\n",),
    ),
    "Albanian": (
        ("cp1252",),
        "Plaku ulej çdo mëngjes përpara detit dhe shikonte anijet. Gruaja e tij thoshte se ai priste të birin, që "
        "kishte ikur shumë vite më parë. Askush nuk e dinte nëse ishte ende gjallë, por një natë dikush trokiti.\n",
        ("Gruaja e tij nuk e dinte nëse ai ishte gjallë.\n",),
    ),
    "Esperanto": (
        ("iso8859-3",),
        "La maljunulo sidis ĉiun matenon antaŭ la maro kaj rigardis la ŝipojn. Lia edzino diris, ke li atendas la "
        "filon, kiu forveturis antaŭ multaj jaroj. Neniu sciis, ĉu li ankoraŭ vivas, ĝis iu vespere venis ĵurnalo.\n",
        ("Ĉu vi ankoraŭ scias, kial la ŝipo ne venis ĝis la urbo?\n",),
    ),
    "Greek": (
        ("cp1253", "iso8859-7"),
        "Ο γέρος καθόταν κάθε πρωί μπροστά στη θάλασσα και κοίταζε "
        "τα καράβια. Η γυναίκα του έλεγε πως περίμενε τον γιο "
        "του, που είχε φύγει πριν από πολλά χρόνια. Κανείς όμως δεν "
        "ήξερε αν ζούσε ακόμα. Ένα βράδυ, όταν φυσούσε δυνατός "
        "άνεμος, κάποιος χτύπησε την πόρτα και είπε ήσυχα το όνομά του.\n",
        ("Καλημέρα, τι κάνεις σήμερα;\n", "Η θάλασσα ήταν ήσυχη το πρωί.\n"),
    ),
    "Turkish": (
        ("cp1254", "iso8859-9"),
        "Yaşlı balıkçı her sabah kıyıya iner, ağlarını onarır ve güneşin "
        "doğuşunu beklerdi. Çocuklar onun yanına gelip eski "
        "günleri sorardı. “Deniz değişti,” derdi, “ama biz de değiştik.” "
        "Bir gün küçük kız ona bir mektup getirdi; oğlu "
        "İstanbul’dan yazıyordu ve yakında köye döneceğini söylüyordu. O akşam ışığı hiç söndürmedi.\n",
        ("Küçük kız, ışığı söndürüp dışarı çıktı.\n",),
    ),
    "Arabic": (
        ("cp1256", "iso8859-6"),
        "كان الرجل العجوز يجلس كل صباح أمام بيته وينظر إلى الطريق. "
        "كان ينتظر ابنه الذي سافر إلى المدينة قبل سنوات. قالت له "
        "الجارة إن الطريق طويل وإن الشتاء قريب، لكنه لم يترك مكانه. "
        "وفي إحدى الليالي سمع صوتا خفيفا عند الباب، فقام مسرعا "
        "وفتحه، ولم يجد هناك إلا الريح والمطر.\n",
        ("صباح الخير، كيف حالك اليوم؟\n", "ذهب الولد إلى المدرسة مع أخته.\n"),
    ),
    "Hebrew": (
        ("cp1255", "iso8859-8"),
        "הזקן ישב בכל בוקר לפני הבית והביט אל הדרך. הוא חיכה לבנו, "
        "שנסע אל העיר לפני שנים רבות. השכנה אמרה לו שהחורף "
        "קרוב ושהדרך ארוכה, אבל הוא לא קם ממקומו. לילה אחד שמע "
        "קול חלש ליד הדלת, מיהר לפתוח אותה, ולא מצא שם אלא את "
        "הרוח ואת הגשם.\n",
        ("בוקר טוב, מה שלומך היום?\n",),
    ),
    "Thai": (
        ("tis-620",),
        "ชายชรานั่งอยู่หน้าบ้านทุกเช้าและมองไปที่ถนน เขากำลังรอลูกชายที่ไปทำงานในเมืองเมื่อหลายปีก่อน "
        "เพื่อนบ้านบอกเขาว่าฤดูฝนใกล้เข้ามาแล้ว "
        "แต่เขาก็ไม่ยอมลุกไปไหน คืนหนึ่งเขาได้ยินเสียงเบา ๆ ที่ประตู "
        "เขารีบลุกขึ้นไปเปิด แต่พบเพียงลมและฝนเท่านั้น\n",
        ("สวัสดีครับ วันนี้อากาศดีมาก\n",),
    ),
    "Japanese": (
        ("shift_jis", "euc_jp"),
        "老人は毎朝、家の前に座って道を見ていた。何年も前に町へ出て行った"
        "息子を待っていたのである。隣の女が「もう冬が来ますよ」と言ったが、"
        "彼は動かなかった。ある夜、戸口で小さな音がした。急いで開け"
        "てみると、そこには風と雨のほか何もなかった。それでも老人は、"
        "朝になるとまた同じ場所に座った。テレビの音だけが聞こえた。\n",
        ("おはようございます。今日はいい天気ですね。\n", "彼女は本を読んでいる。\n", "こんにちは\n"),
    ),
    "Chinese": (
        ("gbk", "gb18030"),
        "老人每天早晨坐在家门口，望着那条路。他在等他的儿子，很多年前"
        "他到城里去了。邻居的女人对他说：“冬天快来了，路又那么远。”"
        "可是他没有离开。有一天夜里，他听见门外有很轻的声音，连忙起"
        "来开门，外面只有风和雨。第二天早上，他还是坐在原来的地方，"
        "什么话也没有说。孩子们问他为什么不走，他笑了笑。\n",
        ("你好，今天天气很好。\n", "我们明天去学校，好吗？\n", "他没有说话。\n"),
    ),
    "Chinese, traditional": (
        ("big5",),
        "老人每天早晨坐在家門口，望著那條路。他在等他的兒子，很多年前"
        "他到城裡去了。鄰居的女人對他說：「冬天快來了，路又那麼遠。」"
        "可是他沒有離開。有一天夜裡，他聽見門外有很輕的聲音，連忙起"
        "來開門，外面只有風和雨。第二天早上，他還是坐在原來的地方，"
        "什麼話也沒有說。孩子們問他為什麼不走，他笑了笑。\n",
        ("你好，今天天氣很好。\n", "我們明天去學校，好嗎？\n"),
    ),
    "Korean": (
        ("euc_kr", "cp949"),
        "노인은 아침마다 집 앞에 앉아 길을 바라보았다. 여러 해 전에 도시로 떠난 "
        "아들을 기다리고 있었던 것이다. 이웃집 여자가 “이제 곧 겨울이 와요” "
        "하고 말했지만 그는 움직이지 않았다. 어느 날 밤 문 밖에서 작은 소리가 "
        "들렸다. 서둘러 문을 열어 보았으나 거기에는 바람과 비밖에 없었다. "
        "그래도 노인은 아침이 되면 다시 같은 자리에 앉았다.\n",
        ("안녕하세요, 오늘 날씨가 좋네요.\n", "그는 학교에 갔다.\n"),
    ),
    "Vietnamese": (
        ("cp1258",),
        tones_apart(
            "Ngày xưa có một ông lão sống một mình bên bờ sông. Mỗi buổi sáng ông ngồi trước cửa nhà nhìn ra con "
            "đường, chờ người con trai đã đi xa nhiều năm. Bà hàng xóm nói rằng mùa đông sắp đến, nhưng ông không "
            "đi đâu cả.\n"
        ),
        (),
    ),
    "Kazakh": (
        ("kz1048",),
        "Ертеде бір қарт өзен жағасында жалғыз тұрыпты. Ол күн сайын таңертең есік алдында "
        "отырып, көп жыл бұрын қалаға кеткен ұлын күтетін. Көршісі қыс жақындап қалды деді, бірақ "
        "ол ешқайда бармады.\n",
        (),
    ),
    "Tajik": (
        ("koi8-t",),
        "Пирамард ҳар субҳ дар назди дар менишаст ва ба роҳ менигарист. Ӯ писарашро интизор буд, ки солҳо пеш ба "
        "шаҳр рафта буд. Ҳамсоя гуфт, ки зимистон наздик аст, аммо ӯ ба ҳеҷ ҷо намерафт; қиссаи ғамаш дароз буд.\n",
        (),
    ),
    "Lithuanian": (
        ("cp1257", "iso8859-13", "iso8859-4", "cp775"),
        "Senelis kas rytą sėdėjo prie durų ir žiūrėjo į kelią. Jis laukė sūnaus, kuris prieš daug "
        "metų išėjo į miestą. Kaimynė sakė, kad žiema jau čia pat, bet jis niekur nėjo; ąžuolas "
        "prie namų šlamėjo per visą naktį.\n",
        (),
    ),
    "Icelandic": (
        ("cp1252", "cp861", "mac_iceland"),
        "Gamli maðurinn sat við dyrnar á hverjum morgni og horfði á veginn. Hann beið eftir syni "
        "sínum, sem fór til bæjarins fyrir mörgum árum. Nágranninn sagði að veturinn væri að "
        "koma, en hann fór ekki neitt þó að snjór félli.\n",
        (),
    ),
    "Croatian": (
        ("cp1250", "mac_croatian"),
        "Starac je svako jutro sjedio pred kućom i gledao cestu. Čekao je sina koji je prije "
        "mnogo godina otišao u grad. Susjeda je rekla da dolazi zima, ali on nije želio nikamo; "
        "noću je čuo tihi šum i požurio otvoriti vrata.\n",
        (),
    ),
}  # fmt: skip

# Encodings that fewer wrote in, of the same paragraphs.
RARER = {
    "French": ("hp_roman8",),
    "German": ("hp_roman8",),
    "Kazakh": ("ptcp154",),
    "Portuguese": ("cp860",),
    "Russian": ("cp855",),
    "Ukrainian": ("cp1125",),
    "Greek": ("cp737", "cp869", "mac_greek"),
    "Turkish": ("cp857", "mac_turkish"),
    "Arabic": ("cp720",),
}
