"""The domain's own terms: found where papers define them, said by the team, brought to the search and to the model."""

from __future__ import annotations

import contextlib
import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest import ingest_pdf
from places import SAMPLES
from rag import Assistant, RagSettings
from rag.errors import GlossaryError
from rag.prompts import definition_text, draft_messages
from rag.retrieval.abbreviations import is_short_form, mine
from rag.retrieval.glossary import Glossary, read_glossary
from rag.retrieval.retrieve import Retriever, match_expression
from rag.retrieval.terms import Definition, Index, Meaning, Terms, expand_by_glossary, meanings_of

# -- mining ----------------------------------------------------------------------------------------------------------


def pairs(text):
    return [(found.short, found.long) for found in mine(text)]


@pytest.mark.parametrize(
    "text, short, long",
    [
        ("We use latent semantic analysis (LSA) here.", "LSA", "latent semantic analysis"),
        ("LSA (latent semantic analysis) is used.", "LSA", "latent semantic analysis"),
        ("deep convolutional neural networks (CNNs) learn", "CNN", "convolutional neural networks"),
        ("the Internet of Things (IoT) grows", "IoT", "Internet of Things"),
        ("dissolved in dimethyl sulfoxide (DMSO, Sigma)", "DMSO", "dimethyl sulfoxide"),
        ("support vector machines (henceforth SVMs)", "SVM", "support vector machines"),
        ("by X-ray diffraction (XRD)", "XRD", "X-ray diffraction"),
        ("Fourier transform infrared spectroscopy (FTIR)", "FTIR", "Fourier transform infrared spectroscopy"),
        ("copalyl diphosphate synthase(CPS); others", "CPS", "copalyl diphosphate synthase"),
        ("the (+)-menthofuran synthase (MFS)", "MFS", "menthofuran synthase"),
        ("release of interleukin-6 (IL-6) rose", "IL-6", "interleukin-6"),
        ("16S rDNA (ribosomal DNA) was read", "rDNA", "ribosomal DNA"),
        ("tumour necrosis factor- (TNF-) level", "TNF", "tumour necrosis factor"),
        ("It is late. Recurrent\nneural networks. Word error rate (WER)", "WER", "Word error rate"),
    ],
)
def test_a_definition_is_found_in_both_orders(text, short, long):
    assert pairs(text) == [(short, long)]


@pytest.mark.parametrize(
    "text",
    [
        "as was shown before (Smith 2010)",
        "as was shown (Li et al., 2019) and (LeCun, 1998)",
        "a fine tree (Figure 1A) and (Fig. 2) and (Table III)",
        "in twelve of them (n = 12, P < 0.05) and (P<0.05)",
        "the plant (Tulsi) and the other one (left)",
        "the second point (ii) and item (IV)",
        "sodium hypochlorite (NaOCl)",
        "Ocimum sanctum (O. sanctum)",
        "a number (2010) and (42)",
        "studies in Mexico (USA)",
        "words matching exactly (MATCH)",
        "We think. Support is here; vector machine (SVM)",
        "empty () and ( ) and (((",
        "BERT (which we took from the authors of that paper)",
    ],
)
def test_what_only_looks_like_a_definition_is_left_out(text):
    assert pairs(text) == []


word = st.text(string.ascii_lowercase, min_size=2, max_size=9)


@given(
    st.lists(word, min_size=2, max_size=6), st.text(string.ascii_letters + " .,;()[]12-\n", max_size=60), st.booleans()
)
def test_letters_stand_in_order_and_offsets_are_right(words, noise, reverse):
    short, long = "".join(w[0] for w in words).upper(), " ".join(words)
    text = f"{noise} {short} ({long}) {noise}" if reverse else f"{noise} {long} ({short}) {noise}"
    for found in mine(text):
        assert text[found.start : found.start + len(found.short)] == found.short
        assert is_short_form(found.short)
        rest = iter(found.long.casefold())
        assert all(letter in rest for letter in found.short.casefold() if letter.isalnum()), found
        assert " ".join(found.long.split()) == found.long
        assert " ".join(found.long.split()) in " ".join(text.split())


@given(st.text(max_size=200) | st.text(alphabet=st.sampled_from("aB ()[]-.,\n"), max_size=200))
def test_whatever_is_mined_of_any_text_stands_in_it(text):
    for found in mine(text):
        assert text[found.start : found.start + len(found.short)] == found.short
        assert " ".join(found.long.split()) in " ".join(text.split())


def test_thousands_of_brackets_take_no_time():
    assert mine("(a (b " * 20_000 + "x" * 50_000 + "(AB)" * 5_000) == []


# -- the table -------------------------------------------------------------------------------------------------------

HEART = "The pulmonary artery (PA) is wide. The pulmonary arteries (PA) branch. Physical activity (PA)."
SPORT = "Physical activity (PA) helps. We aim high. Adaptive immune memory (AIM) was seen. World health office (WHO)."


@pytest.fixture
def index():
    return Index((*meanings_of(HEART, "heart"), *meanings_of(SPORT, "sport")))


def test_a_paper_has_one_meaning_and_papers_keep_theirs_apart(index):
    assert [(m.long, m.papers) for m in index.shorts["PA"]] == [
        ("pulmonary artery", (("heart", 2),)),
        ("Physical activity", (("sport", 1),)),
    ]


def test_spellings_of_one_long_form_are_one_meaning():
    texts = ("Inter-simple sequence repeats (ISSR)", "intersimple sequence repeat (ISSR)")
    index = Index(m for i, text in enumerate(texts) for m in meanings_of(text, str(i)))
    (meaning,) = index.shorts["ISSR"]
    assert meaning.papers == (("0", 1), ("1", 1))


def asked(index, question):
    return {match.asked: match.words for match in index.find(question)}


def test_an_abbreviation_brings_its_long_forms_and_the_reverse(index):
    assert asked(index, "What does PA do?") == {"PA": ("pulmonary artery", "Physical activity")}
    assert asked(index, "Does physical activity help?") == {"physical activity": ("PA",)}
    assert asked(index, "Which PA-related outcome?") == {"PA": ("pulmonary artery", "Physical activity")}


@pytest.mark.parametrize(
    "question, found",
    [
        ("Who did it?", []),
        ("who did it?", []),
        ("Did WHO do it?", ["WHO"]),
        ("What is the aim?", []),
        ("what is the aim?", []),
        ("Is AIM seen?", ["AIM"]),
        ("what does pa do", []),
    ],
)
def test_ordinary_words_are_no_abbreviations(index, question, found):
    assert list(asked(index, question)) == found


def test_a_question_in_small_letters_finds_abbreviations_of_three_letters_and_more():
    index = Index(meanings_of("long short-term memory (LSTM) and question answering (QA)", "p"))
    assert list(asked(index, "how does the lstm differ")) == ["lstm"]
    assert list(asked(index, "how good is qa")) == []
    assert list(asked(index, "How does the lstm differ")) == []


def test_an_ordinary_word_is_not_searched_for(index):
    assert asked(index, "What says the world health office?") == {"world health office": ()}


def test_a_long_form_inside_a_longer_one_is_left_out():
    text = "neural networks (NNs), recurrent neural networks (RNNs)"
    assert list(asked(Index(meanings_of(text, "p")), "Do recurrent neural networks learn?")) == [
        "recurrent neural networks"
    ]


# -- the glossary ----------------------------------------------------------------------------------------------------

GOOD = "term,definition,synonyms,preferred\nLoRA,low-rank adaptation of weights,low-rank adaptation; LORA,LoRA\n"


def test_a_glossary_is_read():
    (entry,) = read_glossary(GOOD)
    assert entry.names == ("LoRA", "low-rank adaptation", "LORA")
    assert (entry.definition, entry.preferred, entry.line) == ("low-rank adaptation of weights", "LoRA", 2)


@pytest.mark.parametrize(
    "text",
    [
        'term;synonyms\nLoRA;"low-rank adaptation; LORA"\n',
        "Synonyms\tTerm\nlow-rank adaptation;LORA\tLoRA\n",
        "\n\nterm,synonyms,,\nLoRA,low-rank adaptation;LORA\n,,\n".replace(",,\n", "\n", 1),
    ],
)
def test_other_separators_orders_and_empty_lines_are_read_too(text):
    assert read_glossary(text)[0].names == ("LoRA", "low-rank adaptation", "LORA")


@pytest.mark.parametrize(
    "text, message",
    [
        ("term,meaning\nLoRA,x\n", 'glossary.csv has an unknown column "meaning".'),
        ("definition\nx\n", 'has no column "term"'),
        ("term,term\na,b\n", "the same column twice"),
        ("term,definition\n,x\n", "Line 2 of glossary.csv has no term."),
        ("term,definition\nLoRA,a, b, c\n", "Line 2 of glossary.csv has 4 cells, but there are 2 columns."),
        ("term,definition\nLoRA,\n", 'Line 2 of glossary.csv says nothing about "LoRA".'),
        ("term,definition\nLoRA,x\nQA,y\nLoRA,z\n", 'Lines 2 and 4 of glossary.csv both define "LoRA".'),
        ("term,definition\nLoRA," + "x" * 401, "in line 2 of glossary.csv has 401 characters; the limit is 400."),
        ('term,definition\nLoRA,"x', "Line 2 of glossary.csv cannot be read as CSV"),
    ],
)
def test_a_wrong_line_is_named_in_words(text, message):
    with pytest.raises(GlossaryError) as caught:
        read_glossary(text)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "glossary.csv").write_bytes("term,definition\nGröße,x\n".encode("latin-1"))
    with pytest.raises(GlossaryError, match="UTF-8"):
        Glossary(tmp_path / "glossary.csv").entries()


def test_a_glossary_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "glossary.csv"
    glossary = Glossary(path)
    assert glossary.entries() == ()
    path.write_text(GOOD, encoding="utf-8-sig")
    assert glossary.entries()[0].term == "LoRA"
    assert glossary.entries() is glossary.entries()
    path.write_text(GOOD.replace("of weights", "of matrix"), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert glossary.entries()[0].definition == "low-rank adaptation of matrix"
    path.unlink()
    assert glossary.entries() == ()


def test_a_name_of_the_glossary_brings_the_others():
    matches, _ = expand_by_glossary("Is low-rank adaptation cheap?", read_glossary(GOOD))
    assert [match.words for match in matches] == [("LoRA", "LORA")]
    assert matches[0].definition == Definition("LoRA", "low-rank adaptation of weights", "LoRA")
    entries = read_glossary("term,definition\nIT,information technology\n")
    assert expand_by_glossary("What is it?", entries)[0] == []
    assert expand_by_glossary("what is it?", entries)[0] == []
    assert expand_by_glossary("What is IT?", entries)[0] != []


# -- search and prompt -----------------------------------------------------------------------------------------------


@pytest.fixture
def papers(library):
    for name in ("before-you-run", "lora-for-terms"):
        ingest_pdf(SAMPLES / f"{name}.pdf", library=library, embedder=HashEmbedder())
    return library


def test_extra_phrases_are_quoted_words():
    assert match_expression("What is RNN?", ['recurrent "neural* network', "rnn", "…"]) == (
        '"rnn" OR "recurrent neural network"'
    )
    assert match_expression("LoRA") == '"lora"'


def test_the_glossary_stands_above_the_papers(papers):
    terms = Terms(papers)
    terms._mined = {paper.id: (Meaning("LORA", "long range", ((paper.id, 1),), False),) for paper in papers.papers()}
    assert terms.expand("What is LORA?").definitions == (Definition("LORA", "long range"),)
    (papers.folder / "glossary.csv").write_text(GOOD)
    found = terms.expand("What is LORA?")
    assert found.words == ("low-rank adaptation",)
    assert found.definitions == (Definition("LoRA", "low-rank adaptation of weights", "LoRA"),)


def test_the_papers_in_scope_say_what_an_abbreviation_means(papers):
    terms, (one, two) = Terms(papers), papers.papers()
    terms._mined = {
        one.id: meanings_of(HEART, one.id),
        two.id: (*meanings_of(SPORT, two.id), *meanings_of("question answering (QA)", two.id)),
    }
    assert terms.expand("What is PA?", [two.id]).words == ("Physical activity",)
    assert set(terms.expand("What is PA?").words) == {"pulmonary artery", "Physical activity"}
    assert terms.expand("What is QA?", [one.id]).words == ("question answering",), "the rest of the library knows it"


def test_what_the_papers_write_often_is_not_searched_for_by_other_names(papers):
    terms, (one, two) = Terms(papers), papers.papers()
    text = "quantisation units (QUNS), adaptation (ADAPT)"
    terms._mined = {one.id: meanings_of(text, one.id), two.id: ()}
    assert terms.expand("Why QUNS?").words == ("quantisation units",), "QUNS stands in no passage"
    terms._mined[one.id] = (Meaning("LoRA", "low-rank adaptation", ((one.id, 1),), False),)
    terms._whole = (frozenset(), terms.index([]))
    often = terms.expand("Why LoRA?")
    assert often.words == ()
    assert often.definitions == (Definition("LoRA", "low-rank adaptation"),)


def test_a_question_does_not_wait_for_the_mining_of_all_papers(papers, monkeypatch):
    terms, seen = Terms(papers), []
    pages = papers.pages

    def slow(paper_id):
        seen.append(len(terms._mined))
        assert terms._warming
        return pages(paper_id)

    monkeypatch.setattr(papers, "pages", slow)
    monkeypatch.setattr(terms, "_guard", contextlib.nullcontext())
    terms._warming = True
    assert terms.index().shorts == {}
    assert seen == [], "nothing is mined for the question"
    terms.warm_up()
    assert seen == [0, 1]
    assert "LoRA" in terms.index().shorts


def test_a_synonym_of_the_glossary_finds_the_passage(papers):
    embedder = HashEmbedder()
    (papers.folder / "glossary.csv").write_text("term,synonyms\nzorble,quantisation\n")
    retriever = Retriever(papers, embedder, terms=Terms(papers))
    found = retriever.search("zorble", embedder.embed_query("zorble"), k=5)
    assert any("lexical" in p.sources for p in found.passages)
    plain = Retriever(papers, embedder).search("zorble", embedder.embed_query("zorble"), k=5)
    assert not any("lexical" in p.sources for p in plain.passages)


def test_the_prompt_has_the_definitions_between_passages_and_question():
    definitions = [Definition("RNN", "recurrent neural network"), Definition("LoRA", None, "LoRA")]
    prompt = draft_messages("Why RNN?", [], definitions=definitions)[-1]["content"]
    assert prompt.endswith('Terms:\n- RNN: recurrent neural network\n- LoRA: always write "LoRA"\n\nQuestion: Why RNN?')
    assert "Terms" not in draft_messages("Why RNN?", [])[-1]["content"]
    assert "<|" not in definition_text(Definition("X", "<|im_end|> y"))


async def test_a_drafter_that_reads_passages_is_given_the_definitions(papers):
    (papers.folder / "glossary.csv").write_text(GOOD)
    for sentences, given_them in ((0, True), (3, False)):
        asked = Assistant(
            library=papers,
            embedder=HashEmbedder(),
            drafter=ScriptedChatModel("Yes."),
            settings=RagSettings(drafter_sentences=sentences),
        )
        await asked.answer("What does LoRA adapt, and at what rank?")
        assert ("- LoRA: low-rank adaptation of weights" in asked.drafter.seen[0][-1]["content"]) is given_them


async def test_a_broken_glossary_is_told_and_not_passed_over(papers):
    (papers.folder / "glossary.csv").write_text("word\nx\n")
    asked = Assistant(
        library=papers, embedder=HashEmbedder(), drafter=ScriptedChatModel("Yes."), settings=RagSettings()
    )
    with pytest.raises(GlossaryError, match="unknown column"):
        await asked.answer("What does LoRA adapt?")
