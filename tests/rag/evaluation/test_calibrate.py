"""What is learned from labelled drafts is what a second implementation learns, and too little is not learned from."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from question_files import write_beir, write_qasper
from rag.__main__ import main as rag
from rag.evaluation.calibrate import (
    FEATURES,
    KEPT,
    Labelled,
    calibrated,
    choose_threshold,
    fit,
    held_out,
    is_right,
    save,
    share_bound,
    too_few,
)
from rag.evaluation.metrics import UNANSWERABLE, auroc
from rag.verify.calibration import FILE, calibration_for, shipped


def rows(n: int = 240, seed: int = 3) -> list[Labelled]:
    """Drafts whose signals decide, with noise, whether they are right."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(n):
        values = dict(zip(FEATURES, random.normal(size=len(FEATURES)).tolist(), strict=True))
        values["mean_logprob"] = float(random.normal(-0.6, 0.3))
        right = values[FEATURES[0]] + 0.5 * values[FEATURES[1]] + random.normal() > 1
        made.append(Labelled(values, ("echo",) if i % 9 == 0 else (), bool(right), f"paper {i % 30}"))
    return made


def test_the_weights_are_those_of_scikit_learn():
    made = rows()
    x = np.array([[row.signals[name] for name in FEATURES] for row in made])
    theirs = LogisticRegression(C=1.0, tol=1e-8).fit(StandardScaler().fit_transform(x), [row.right for row in made])
    ours = fit(made, FEATURES)
    assert ours.coefficients == pytest.approx(theirs.coef_[0], abs=1e-4)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_an_unknown_signal_counts_as_the_mean():
    weights = fit([replace(row, signals=row.signals | {FEATURES[0]: None}) if i % 3 else row
                   for i, row in enumerate(rows())], FEATURES)  # fmt: skip
    rest = {FEATURES[1]: 0.3, FEATURES[2]: 0.1}
    mean = weights.means[0]
    assert weights.probability(rest | {FEATURES[0]: None}) == pytest.approx(
        weights.probability(rest | {FEATURES[0]: mean})
    )


def test_held_out_probabilities_come_from_other_papers():
    made = rows()
    before = held_out(made, FEATURES)
    first = made[0].group
    turned = [replace(row, right=not row.right) if row.group == first else row for row in made]
    after = held_out(turned, FEATURES)
    mine = [i for i, row in enumerate(made) if row.group == first]
    assert [before[i] for i in mine] == [after[i] for i in mine]
    assert before != after
    assert auroc(before, [row.right for row in made]) > 0.7


def test_the_bound_is_that_of_clopper_and_pearson():
    assert share_bound(60, 60) == pytest.approx(1 - 0.0487, abs=1e-3)  # 0 of 60 wrong: at most 4.9 %
    assert share_bound(95, 100) == pytest.approx(1 - 0.102, abs=1e-3)
    assert share_bound(0, 10) == 0


def test_the_threshold_keeps_what_is_right_often_enough():
    sure = [(0.9 - i / 1000, i % 10 != 0) for i in range(60)] + [(0.2 - i / 1000, False) for i in range(60)]
    threshold, reason = choose_threshold(sure, of=200)
    kept = [right for probability, right in sure if probability >= threshold]
    assert share_bound(sum(kept), len(kept)) >= 0.5
    assert "50%" in reason
    assert threshold < 0.9 - 59 / 1000, "it stops at the first failure, not before"


def test_where_no_drafts_are_right_often_enough_the_surest_are_kept_as_a_budget():
    weak = [(0.3 - i / 1000, i % 7 == 0) for i in range(100)]
    threshold, reason = choose_threshold(weak, of=120)
    assert sum(probability >= threshold for probability, _ in weak) == round(KEPT * 120)
    assert reason.startswith("No set of drafts")


def test_too_few_labels_are_said_to_be_too_few():
    assert "99 of the drafts" in too_few(rows(99))
    assert "right" in too_few([replace(row, right=i < 4) for i, row in enumerate(rows(150))])
    assert too_few(rows(150)) is None


def test_a_draft_for_an_unanswerable_question_is_wrong():
    assert not is_right("Unanswerable", [UNANSWERABLE, UNANSWERABLE])
    assert is_right("The corpus is DTA18", [UNANSWERABLE, "DTA18 corpus"])
    assert not is_right("The corpus that they use in all of their experiments is DTA18", ["DTA18"])


def test_what_is_written_is_read_again(tmp_path):
    made = calibrated(rows(), model="mine", data="my questions", date="2026-11-22")
    save(made, tmp_path / FILE)
    assert calibration_for("mine", library=tmp_path) == made
    assert not list(tmp_path.glob("*.part"))


def test_files_call_the_vetoes_gates_as_they_always_did(tmp_path):
    made = calibrated(rows(), model="mine", data="my questions", date="2026-11-22")
    save(made, tmp_path / FILE)
    there = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))
    assert (there["gated"], "vetoed" in there) == (made.vetoed, False)
    draft = rows()[0]
    assert draft.as_row() == {
        "signals": draft.signals, "gates": ("echo",), "right": draft.right, "group": "paper 0"
    }  # fmt: skip
    assert Labelled.from_row(json.loads(json.dumps(draft.as_row()))) == draft


def test_ones_own_calibration_counts_for_its_model_only(tmp_path):
    made = calibrated(rows(), model="mine", data="my questions", date="2026-11-22")
    save(made, tmp_path / FILE)
    assert calibration_for("another", library=tmp_path) == shipped()
    assert calibration_for("mine", library=tmp_path / "elsewhere") == shipped()


def with_weights(**changes):
    row = asdict(calibrated(rows(), model="mine", data="my questions", date="2026-11-22"))
    row["with_logprobs"] |= changes
    return json.dumps(row)


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", '{"with_logprobs": 3}', "\udcff", "[" * 100_000),
        with_weights(scales=[0.0] * 4),
        with_weights(coefficients=[1.0]),
        with_weights(intercept="high"),
        with_weights(intercept=float("nan")),
    ],
    ids=range(10),
)
def test_a_broken_file_of_the_users_is_told_once_and_our_weights_are_used(tmp_path, content, caplog):
    (tmp_path / FILE).write_text(content, encoding="utf-8", errors="surrogateescape")
    for _ in range(3):
        assert calibration_for("mine", library=tmp_path) == shipped()
    (told,) = caplog.messages
    assert str(tmp_path / FILE) in told


def test_a_folder_in_the_place_of_the_users_file_costs_no_answer(tmp_path, caplog):
    (tmp_path / FILE).mkdir()
    assert calibration_for("mine", library=tmp_path) == shipped()
    assert len(caplog.messages) == 1


def test_the_shipped_weights_say_where_they_are_from_and_point_the_right_way():
    row = asdict(shipped())
    assert json.dumps(row)
    assert row["model"] == "SmolLM2-135M-Instruct Q4_1"
    assert row["n"] >= 100
    for weights in (shipped().with_logprobs, shipped().without_logprobs):
        assert all(weight > 0 for weight in weights.coefficients), "more evidence, more confidence"
    assert 0 < shipped().vetoed < shipped().threshold < 1


# -- the command, with the real embedder and the real model ------------------------------------------------------------


@pytest.fixture
def calibrate(tmp_path, monkeypatch, capsys):
    """Run the command; the result is its exit code, standard output and standard error."""
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = rag(["calibrate", *map(str, arguments)])
        return code, *capsys.readouterr()

    return call


def test_the_command_refuses_too_few_questions_and_asks_each_only_once(calibrate, tmp_path):
    questions = write_qasper(tmp_path / "tiny.json.gz")
    arguments = (questions, "--drafts", tmp_path / "drafts")
    code, _, err = calibrate(*arguments)
    assert code == 1
    assert "100 are needed" in err
    assert "Traceback" not in err
    assert not (tmp_path / FILE).exists()
    lines = (tmp_path / "drafts" / "drafts.jsonl").read_bytes()
    assert lines.count(b"\n") == 4

    code, out, err = calibrate(*arguments, "--force")
    assert code == 0, err
    assert "Too few to rely on" in out
    assert (tmp_path / "drafts" / "drafts.jsonl").read_bytes() == lines
    own = calibration_for(f"{shipped().model} + answers", library=tmp_path)
    assert own != shipped()
    assert own.data.endswith("/tiny")
    assert own.n <= 4


def test_questions_without_answers_are_refused_before_anything_is_embedded(calibrate, tmp_path):
    code, _, err = calibrate(write_beir(tmp_path / "tiny"), "--drafts", tmp_path / "drafts")
    assert code == 1
    assert "has no answers" in err
    assert not (tmp_path / "drafts").exists()


def test_a_csv_needs_papers_in_the_library(calibrate, tmp_path):
    (tmp_path / "mine.csv").write_text("question,answer\nWhat is it?,a test\n", encoding="utf-8")
    code, _, err = calibrate(tmp_path / "mine.csv")
    assert code == 1
    assert "library is empty" in err
