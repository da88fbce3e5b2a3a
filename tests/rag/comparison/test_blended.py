"""The blended figure: what the product shows, a simulated or a real larger model, and a threshold that `auto` obeys."""

from __future__ import annotations

import json
import re

import pytest

from engine_stubs import serving
from fake_reader import WordReader
from fakes import ScriptedChatModel
from ingest.__main__ import main as ingest
from places import SAMPLES
from rag import Assistant, Drafted, RagSettings
from rag.__main__ import main as rag
from rag.answer import QUOTED_ANSWER, Answer, Confidence, Draft, Escalated
from rag.choices import kept
from rag.comparison.blended import NEVER, Given, Oracle, drafted, first_attempt, routed
from rag.comparison.curve_report import blocks, summary
from rag.comparison.plots import Bar, bars
from rag.comparison.routing import curve
from rag.costs.accounting import Trace
from rag.errors import ModelUnreachableError
from rag.evaluation.cases import Case, Reference
from rag.evaluation.report_html import page
from rag.expert import Expert
from rag.verify.confidence import goes_on
from waiting import events_of
from writing_engine import MODEL, ollama


def answer(text="Forty seeds.", *, score=0.4, vetoes=(), abstained=False, cost=0.001):
    draft = Draft(text=text, model="m", usage=None, seconds=1.0, first_token_seconds=0.1, finish_reason="stop",
                  mean_logprob=None, cost=cost)  # fmt: skip
    return Answer(
        question="How many?", text=text, passages=(), trace=Trace(seconds=2.0), abstained=abstained,
        drafts=() if abstained else (draft,), confidence=Confidence(score, "", {}, vetoes),
    )  # fmt: skip


async def unreachable(*_, **__):
    raise ModelUnreachableError("Nothing answers there.", "Start it.")


def asked(name, gold="forty seeds"):
    return Case(id=name, question="How many?", group=name, references=(Reference(gold),), answerable=True)


def test_the_score_is_the_one_that_auto_decides_by():
    for vetoes, score, goes in (
        ((), 0.4, True), ((), 0.6, False), (("no support",), 0.9, True), (("abstains",), 0.1, False),
    ):  # fmt: skip
        made = drafted(answer(score=score, vetoes=vetoes))
        assert (made.score < 0.5) is goes
        assert goes_on(Confidence(score, "", {}, vetoes), threshold=0.5) is goes
    assert drafted(answer(abstained=True)).score == NEVER
    assert drafted(answer(cost=None)).usd is None


@pytest.mark.parametrize("quoting", [False, True])
async def test_the_stored_score_is_the_one_that_auto_decides_by(two_papers, hash_embedder, quoting):
    """Of a draft that only mode `draft` replaces, the draft's; of a quotation in every mode, the quotation's."""
    draft = "The key-value cache takes 999 KiB for each token and was invented in Paris."
    question = "How many bytes does the key-value cache need per token?"

    def assistant(**more):
        settings = RagSettings(drafter_sentences=0, **more)
        larger = ScriptedChatModel("It needs 128 KiB [1].", name="large")
        return Assistant(
            library=two_papers, embedder=hash_embedder, settings=settings, expert=Expert(larger, settings=settings),
            drafter=ScriptedChatModel(draft, name="small"), reader=WordReader() if quoting else None,
            quotes_first=quoting,
        )  # fmt: skip

    events = await events_of(assistant().ask(question))
    (raw,) = [event.confidence for event in events if isinstance(event, Drafted)]
    shown = events[-1].answer
    assert (shown.shown, shown.drafts[1].model) == (1, QUOTED_ANSWER)
    case = Case(id="a", question=question, group="a", references=(), answerable=True)
    found = await first_attempt(case, assistant())
    decides = shown.confidence if quoting else raw
    assert (found.judged.confidence.score, found.judged.confidence.vetoes) == (decides.score, decides.vetoes)
    assert found.judged.drafts[found.judged.shown].text == (shown.drafts[1].text if quoting else draft)
    given = drafted(found.shown, sure=found.judged.confidence)
    for threshold in (0.0, max(0.0, given.score - 0.001), min(1.0, max(0.0, given.score + 0.001)), 1.0):
        events = await events_of(assistant(auto_threshold=threshold).ask(question, mode="auto"))
        assert any(isinstance(event, Escalated) for event in events) is (given.score < threshold)


def test_the_oracle_is_right_as_often_as_stated_and_always_in_the_same_questions():
    drawn = [Oracle(accuracy=0.8).quality(f"q{n}") for n in range(4000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.8, abs=0.02)
    better = [Oracle(accuracy=0.9).quality(f"q{n}") for n in range(4000)]
    assert all(a <= b for a, b in zip(drawn, better, strict=True))


def test_only_questions_with_both_answers_count_and_an_abstention_is_not_refined():
    drafts = {"a": drafted(answer()), "b": drafted(answer("Nine.", score=0.1)), "c": drafted(answer(abstained=True))}
    rows = [asked("a"), asked("b"), asked("c"), asked("d")]
    large = {"b": Given(text="Forty seeds.", abstained=False, seconds=3.0, usd=None)}
    b, c = routed(rows, drafts, expert=large)
    assert (b.small, b.large, b.more_seconds, b.more_usd) == (0.0, 1.0, 3.0, None)
    assert (c.small, c.large, c.more_usd) == (0.0, 0.0, 0.0)
    assert len(routed(rows, drafts, oracle=Oracle(accuracy=1.0))) == 3


def test_the_report_names_a_simulation_and_the_command_that_sets_the_threshold():
    drafts = {
        f"q{n}": drafted(answer("Forty seeds." if n % 3 == 0 else "Nine.", score=0.3 + n / 100)) for n in range(40)
    }
    made = routed([asked(name) for name in drafts], drafts, oracle=Oracle(accuracy=0.9, seconds=5.0, usd=0.01))
    about = {"larger": "an oracle", "simulated": "no larger model was asked.", "drafter": "m"}
    text = page("x", blocks(made, about, wanted=0.5, most=1.0))
    assert "This is a simulation" in text
    assert "python -m rag curve --set" in text
    assert text.count("<svg") == 3  # calls, time, money
    told = summary(made, wanted=0.5, most=1.0)
    assert 0.3 < told["recommended"] < 0.7
    assert float(re.search(r"curve --set ([\d.]+)", text)[1]) >= told["recommended"]  # "below" decides
    worse = page(
        "x",
        blocks(routed([asked("q0"), asked("q3")], drafts, oracle=Oracle(accuracy=0.0)), about, wanted=0.5, most=1.0),
    )
    assert "not better here" in worse
    assert curve(made)[-1].quality == told["large"]


def test_names_in_plots_are_escaped():
    assert "<b>" not in bars([Bar("<b>x</b>", (1.0,))], parts=("<i>",), unit="s")


def test_one_command_sets_the_threshold_and_another_one_forgets_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    assert rag(["curve", "--set", "0.31"]) == 0
    assert kept(tmp_path).settings.auto_threshold == 0.31
    assert "below 0.31" in capsys.readouterr().out
    assert rag(["curve", "--unset"]) == 0
    assert kept(tmp_path).settings.auto_threshold is None
    monkeypatch.setenv("SCHOLION_AUTO_THRESHOLD", "0.5")
    assert rag(["curve", "--set", "0.31"]) == 1
    assert "SCHOLION_AUTO_THRESHOLD" in capsys.readouterr().err


def test_a_real_second_endpoint_answers_once_and_a_second_run_asks_nothing(tmp_path, monkeypatch, capsys):
    """And one that failed is asked again."""
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    assert ingest(["add", str(SAMPLES / "before-you-run.pdf")]) == 0
    rows = (SAMPLES / "questions.csv").read_text().splitlines()
    about = [row for row in rows[1:] if "before-you-run" in row or "Before you run" in row][:2]
    (tmp_path / "q.csv").write_text("\n".join([rows[0], *about]))
    heard = []
    with serving(ollama("The paper says that it takes forty seeds [1].", asked=heard)) as server:
        monkeypatch.setenv("SCHOLION_EXPERT", f"http://127.0.0.1:{server.server_port}/v1#{MODEL}")
        command = ["curve", str(tmp_path / "q.csv"), "--out", str(tmp_path / "out"), "--json"]
        with monkeypatch.context() as gone:
            gone.setattr("rag.models.chat.EndpointChatModel.planned_call", unreachable)
            assert rag(command) == 1
        assert "gave no answer" in capsys.readouterr().err
        assert rag(command) == 0
        told = json.loads(capsys.readouterr().out)
        n = len(heard)
        assert rag(command) == 0
    assert (told["n"], told["larger"], told["simulated"]) == (2, MODEL, "")
    assert n == len(heard) >= 1
    assert (tmp_path / "out" / "report.html").is_file()


def test_without_a_larger_model_the_command_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    for arguments, said in (([], "Which questions?"), ([str(SAMPLES / "questions.csv")], "--oracle 0.8")):
        assert rag(["curve", *arguments]) == 1
        assert said in capsys.readouterr().err
