"""Letters that make no words are told from languages, tables and sequences, and read by OCR or refused."""

from __future__ import annotations

import random
import string

import pytest

from ingest import ocr
from ingest.errors import NoTextError
from ingest.parse import parse_pdf
from ingest.readable import is_readable
from pdfs import column, write_pdf
from places import SAMPLES

ENGLISH = (
    "We measured the emission of methane and carbon dioxide on rewetted and drained peatland for three years with "
    "closed chambers. Rewetting raised methane and lowered carbon dioxide at all sites that we have compared. "
)
LANGUAGES = {
    "English": ENGLISH,
    "German": "Wir haben den Ausstoß von Methan auf wiedervernässten und entwässerten Mooren über drei Jahre mit "
    "geschlossenen Hauben gemessen. Die Wiedervernässung erhöhte ihn an allen Standorten, die wir verglichen.",
    "French": "Nous avons mesuré les émissions de méthane des tourbières drainées et remises en eau pendant trois ans "
    "avec des chambres fermées. La remise en eau a augmenté le méthane sur tous les sites que nous avons comparés.",
    "Polish": "Zmierzyliśmy emisję metanu z torfowisk odwodnionych i ponownie nawodnionych przez trzy lata za pomocą "
    "zamkniętych komór. Ponowne nawodnienie zwiększyło emisję metanu na wszystkich badanych stanowiskach.",
    "Finnish": "Mittasimme ojitettujen ja ennallistettujen soiden metaanipäästöjä kolmen vuoden ajan suljetuilla "
    "kammioilla. Ennallistaminen lisäsi metaanipäästöjä kaikilla tutkituilla soilla mutta vähensi hiilidioksidia.",
    "Turkish": "Kurutulmuş ve yeniden ıslatılmış turbalıklarda metan salımını üç yıl boyunca kapalı odalarla ölçtük. "
    "Yeniden ıslatma bütün alanlarda metan salımını artırdı ve karbondioksit salımını önemli ölçüde azalttı.",
    "Vietnamese": "Chúng tôi đã đo lượng khí mê-tan phát thải từ các vùng đất than bùn trong ba năm bằng các "
    "buồng kín. Việc làm ướt lại đã làm tăng khí mê-tan và giảm khí cacbonic ở tất cả các địa điểm mà chúng tôi có.",
    "Russian": "Мы измеряли выбросы метана и углекислого газа на осушенных и повторно обводнённых торфяниках в течение "
    "трёх лет с помощью закрытых камер. Обводнение увеличило выбросы метана на всех участках.",
    "Ukrainian": "Ми вимірювали викиди метану та вуглекислого газу на осушених і повторно обводнених торфовищах "
    "протягом трьох років за допомогою закритих камер. Обводнення збільшило викиди метану на всіх ділянках.",
    "Greek": "Μετρήσαμε τις εκπομπές μεθανίου και διοξειδίου του άνθρακα σε αποστραγγισμένους τυρφώνες για τρία χρόνια "
    "με κλειστούς θαλάμους. Η επαναφορά του νερού αύξησε το μεθάνιο σε όλες τις θέσεις που συγκρίναμε.",
    "Welsh": "Mae'r astudiaeth hon yn edrych ar allyriadau methan o fawndiroedd sydd wedi cael eu draenio a'u "
    "hail-wlychu dros gyfnod o dair blynedd. Cafodd y mesuriadau eu gwneud gyda siambrau caeedig ar bob "
    "safle, ac mae'r canlyniadau yn dangos bod ail-wlychu wedi codi lefel y methan ond wedi gostwng "
    "carbon deuocsid.",
    "Filipino": "Sinukat namin ang paglabas ng methane mula sa mga lupang pit na muling binasa at pinatuyo sa loob ng "
    "tatlong taon gamit ang mga saradong silid. Ang muling pagbabasa ay nagpataas ng methane at nagpababa "
    "ng carbon dioxide sa lahat ng mga lugar na aming pinaghambing.",
    "Azerbaijani": "Biz üç il ərzində qurudulmuş və yenidən suvarılmış torf torpaqlarından metan və karbon qazının "
    "ayrılmasını qapalı kameralarla ölçdük. Yenidən suvarma müqayisə etdiyimiz bütün sahələrdə metanın "
    "miqdarını artırdı, karbon qazının miqdarını isə azaltdı.",
    "Kazakh": "Біз үш жыл бойы құрғатылған және қайта суландырылған шымтезек жерлерінен метан мен көмірқышқыл "
    "газының бөлінуін жабық камералармен өлшедік. Қайта суландыру біз салыстырған барлық жерлерде метанды "
    "арттырып, көмірқышқыл газын азайтты.",
    "Mongolian": "Бид гурван жилийн турш хатаасан болон дахин усжуулсан хүлэрт газраас ялгарах метан ба нүүрсхүчлийн "
    "хийг битүү камераар хэмжсэн. Дахин усжуулалт нь бидний харьцуулсан бүх талбайд метаныг нэмэгдүүлж, "
    "нүүрсхүчлийн хийг бууруулсан.",
    "Swahili": "Tulipima utoaji wa methani na kaboni dioksidi kutoka kwenye maeneo ya peat yaliyokaushwa na "
    "yaliyorudishiwa maji kwa miaka mitatu kwa kutumia vyumba vilivyofungwa. Kurudisha maji kuliongeza "
    "methani na kupunguza kaboni dioksidi katika maeneo yote.",
    "Icelandic": "Við mældum losun metans og koltvísýrings úr framræstum og endurheimtum mýrum í þrjú ár með lokuðum "
    "hólfum. Endurheimt jók metan og lækkaði koltvísýring á öllum stöðum sem við bárum saman í þessari "
    "rannsókn og niðurstöður sýna.",
    "Zulu": "Silinganise ukukhishwa kwemethane ezindaweni ezimanzi ezomisiwe nezibuyiselwe iminyaka emithathu "
    "sisebenzisa amagumbi avaliwe. Ukubuyisela amanzi kukhuphule imethane futhi kwehlisa ikhabhoni "
    "dayoksayidi kuzo zonke izindawo esiziqhathanisile.",
    "Chinese": "我们在三个排水的泥炭地上安装了二十四个封闭箱，并测量甲烷和二氧化碳的排放。结果表明，" * 5,
    "Japanese": "私たちは排水された泥炭地で三年間にわたりメタンの放出を密閉チャンバーで測定した。" * 5,
    "Korean": "우리는 배수된 이탄지에서 삼 년 동안 밀폐 챔버로 메탄과 이산화탄소의 배출을 측정하였다. " * 5,
    "Arabic": "قمنا بقياس انبعاثات الميثان وثاني أكسيد الكربون في أراضي الخث المجففة لمدة ثلاث سنوات باستخدام غرف " * 3,
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_are_readable(language):
    assert sum(map(str.isalpha, LANGUAGES[language])) >= 150
    assert is_readable(LANGUAGES[language])
    assert is_readable(LANGUAGES[language].upper())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Figure 3",
        "ATG GCC AAG CTG ACC GGT TAA GCT AGC TTG ACC GGA " * 20,
        "12.7 | 5.85 | 559\n12.8 | 5.90 | 566\n" * 40,
        "TEST " * 60,
        " ".join(f"a{n} [x{n + 9000}]" for n in range(160, 260)),
        "for (i = 0; i < n; i++) { sum += x[i] * w[i]; }\n" * 12,
    ],
)
def test_what_is_no_running_text_is_not_condemned(text):
    assert is_readable(text)


def shifted(text: str, by: int, first: str, last: str) -> str:
    """Each letter of an alphabet moved on, round its end."""
    alphabet = [chr(code) for code in range(ord(first), ord(last) + 1)]
    turned = alphabet[by:] + alphabet[:by]
    return text.translate(str.maketrans("".join(alphabet), "".join(turned)))


@pytest.mark.parametrize("by", range(1, 26))
def test_english_with_its_letters_shifted_is_unreadable(by):
    assert not is_readable(shifted(shifted(ENGLISH, by, "a", "z"), by, "A", "Z"))


@pytest.mark.parametrize("by", [-31, -29, -3, -1, 1, 3])
def test_codes_taken_for_other_codes_are_unreadable(by):
    assert not is_readable("".join(c if c == " " else chr(max(33, ord(c) + by)) for c in ENGLISH * 2))


@pytest.mark.parametrize(
    ("language", "first", "last"),
    [("Russian", "а", "я"), ("Ukrainian", "а", "я"), ("Greek", "α", "ω"), ("German", "a", "z"), ("French", "a", "z")],
)
@pytest.mark.parametrize("by", [5, 11, 16])
def test_other_alphabets_shifted_are_unreadable(language, first, last, by):
    assert not is_readable(shifted(LANGUAGES[language].lower(), by, first, last))


def test_signs_at_random_are_no_chinese_or_korean():
    chance = random.Random(1)
    assert not is_readable("".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(300)))
    assert not is_readable("".join(chr(chance.randrange(0xAC00, 0xD7A3)) for _ in range(300)))


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pdf")), ids=lambda p: p.stem)
def test_the_sample_papers_are_readable_and_shuffled_they_are_not(path):
    letters = list(string.ascii_lowercase)
    table = str.maketrans("".join(letters), "".join(letters[13:] + letters[:13]))
    for page in parse_pdf(path).pages:
        assert is_readable(page.text)
        if sum(map(str.isalpha, page.text)) > 400:
            assert not is_readable(page.text.lower().translate(table))


def test_languages_that_are_not_listed_are_told_by_their_vowels(monkeypatch):
    monkeypatch.setattr("ingest.readable._FUNCTION_WORDS", (frozenset(),))
    for language in ("Filipino", "Kazakh", "Mongolian", "Swahili", "Zulu"):
        assert is_readable(LANGUAGES[language] + " "), language


@pytest.mark.parametrize("language", ["Filipino", "Swahili", "Welsh"])
def test_most_shuffled_alphabets_are_unreadable(language):
    chance, letters = random.Random(0), string.ascii_lowercase
    tables = (str.maketrans(letters, "".join(chance.sample(letters, 26))) for _ in range(200))
    assert sum(is_readable(LANGUAGES[language].lower().translate(table)) for table in tables) <= 10


@pytest.mark.skipif(not ocr.available(), reason="Tesseract is not installed")
def test_letters_without_words_that_ocr_cannot_make_out_either_are_kept_and_told(tmp_path, monkeypatch):
    words = shifted(ENGLISH, 11, "a", "z").split()
    path = write_pdf(tmp_path / "a.pdf", column(60, 700, [" ".join(words[i : i + 8]) for i in range(0, len(words), 8)]))
    monkeypatch.setattr("ingest.reread.read_page", lambda *_, **__: "§ $ 1")
    parsed = parse_pdf(path)
    assert words[0] in parsed.text
    assert parsed.report.unreadable_pages == (1,)


@pytest.mark.skipif(not ocr.available(), reason="Tesseract is not installed")
def test_a_wrong_table_of_a_font_is_read_by_ocr(shared_data):
    parsed = parse_pdf(shared_data / "cases" / "shifted.pdf")
    assert parsed.report.ocr_pages == (1,)
    assert "Nitrogen uptake of winter wheat" in parsed.text
    assert parsed.report.unreadable_pages == ()


def test_a_wrong_table_of_a_font_is_told_where_there_is_no_ocr(shared_data, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(NoTextError, match=r"make no words \(“Yteczrpy faelvp.*Install Tesseract"):
        parse_pdf(shared_data / "cases" / "shifted.pdf")


def test_one_page_that_makes_no_words_is_told_and_the_others_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    words = ENGLISH.split()
    good = column(60, 700, [" ".join(words[i : i + 8]) for i in range(0, len(words), 8)])
    bad = [t._replace(text=shifted(t.text, 11, "a", "z")) for t in good]
    report = parse_pdf(write_pdf(tmp_path / "a.pdf", good, bad)).report
    assert report.unreadable_pages == (2,)
    assert 0.4 < report.garbled_share < 0.6
    assert "Tesseract" in report.ocr_error


def test_chinese_in_a_font_that_is_not_here_is_kept(shared_data):
    parsed = parse_pdf(shared_data / "cases" / "chinese.pdf")
    assert parsed.report.hidden_chars == 0
    assert "重新湿润泥炭地的甲烷排放研究" in parsed.text
    assert "14.2克甲烷，而排水样地为3.1克" in parsed.text


def with_chinese(path, *, before=b"", colour=b"0 g", mode=0, after=b"", x=72, text="重新湿润泥炭地的甲烷排放研究"):
    """A page with a line in a Chinese font that is not embedded, and one in Helvetica."""
    shown = text.encode("utf-16-be").hex().encode()
    content = b"BT /F1 12 Tf 72 600 Td (A study of methane in rewetted peatland and its emission over years) Tj ET "
    content += b"q %s %s BT /F2 12 Tf %d Tr %d 700 Td <%s> Tj ET Q %s" % (before, colour, mode, x, shown, after)
    info = b"<< /Registry (Adobe) /Ordering (GB1) /Supplement 0 >>"
    look = b"/Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 752 /Descent -271 /CapHeight 737 /StemV 58"
    fonts = b"<< /Font << /F1 5 0 R /F2 6 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources %s >>" % fonts,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [7 0 R] >>",
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo %s /FontDescriptor 8 0 R >>"
        % info,
        b"<< /Type /FontDescriptor /FontName /STSong-Light %s >>" % look,
    ]
    out = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, body) for n, body in enumerate(objects, start=1))
    path.write_bytes(out + b"trailer << /Size 9 /Root 1 0 R >>\n%%EOF\n")
    return path


@pytest.mark.parametrize(
    "look", [{}, {"colour": b"0.4 g"}, {"before": b"0 g 60 690 300 30 re f", "colour": b"1 g"}, {"text": "研究"}]
)
def test_text_that_would_be_seen_with_its_font_is_kept(tmp_path, look):
    parsed = parse_pdf(with_chinese(tmp_path / "a.pdf", **look))
    assert look.get("text", "重新湿润泥炭地的甲烷排放研究") in parsed.text
    assert parsed.report.hidden_chars == 0


@pytest.mark.parametrize(
    "trick",
    [
        {"colour": b"1 g"}, {"mode": 3}, {"after": b"1 g 9 690 400 40 re f"}, {"before": b"0 0 9 9 re W n"}, {"x": 900}
    ],
)  # fmt: skip
def test_text_that_is_hidden_stays_hidden_whatever_its_font(tmp_path, trick):
    parsed = parse_pdf(with_chinese(tmp_path / "a.pdf", **trick))
    assert "甲烷" not in parsed.text
    assert parsed.report.hidden_chars > 0 or trick == {"x": 900}
