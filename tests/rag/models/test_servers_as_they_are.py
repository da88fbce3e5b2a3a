"""Model servers as they are: thoughts in every form, control tokens, odd shapes, errors with status 200, odd keys."""

from __future__ import annotations

import json

import pytest

from fakes import ScriptedChatModel
from rag.costs.accounting import Usage
from rag.errors import ModelRefusedError, ModelReplyError, UnknownModelError
from rag.models.chat import EndpointChatModel, fixed
from rag.models.draft import write
from rag.models.registry import load
from rag.models.resolve import ModelServer, resolve
from rag.models.thoughts import Thoughts
from rag.privacy.destination import Endpoint
from stub_server import DONE, data, delta, http, serving
from waiting import PATIENCE

SAID = "It is so [1]."
QUESTION = [{"role": "user", "content": "What is it?"}]

ALOUD = {
    "a pair of tags": f"<think>hm</think>{SAID}",
    "no opening tag": f"The paper has 3 arms.\n</think>\n{SAID}",
    "no opening tag, as people begin": f"Okay, the user wants to know. </think>\n{SAID}",
    "another tag": f"<thinking>hm</thinking>\n\n{SAID}",
    "another tag still": f"<reasoning>hm</reasoning>{SAID}",
    "square brackets": f"[THINK]hm[/THINK]{SAID}",
    "squares": f"◁think▷hm◁/think▷{SAID}",
    "several": f"<think>a</think><think>b</think>{SAID}",
    "two ends": f"First </think> second. </think>{SAID}",
    "nothing in them": f"<think>\n\n</think>\n\n{SAID}",
    "channels": f"<|channel|>analysis<|message|>We need x.<|end|><|start|>assistant<|channel|>final<|message|>{SAID}",
    "a channel and its end": f"<|channel|>analysis<|message|>Hm<|channel|>final<|message|>{SAID}<|return|>",
    "a call in between": f"<|channel|>commentary to=f <|constrain|>json<|message|>{{}}<|call|><|start|>assistant"
    f"<|channel|>final<|message|>{SAID}",
    "channels without their tokens": f"analysisWe need to answer.assistantfinal{SAID}",
    "an end of the turn": f"{SAID}<|im_end|>\n<|im_start|>user\nAnd now?",
    "another end": f"{SAID}<|eot_id|>assistant more",
    "an end of the text": f"{SAID}</s>",
    "an end that Gemma writes": f"{SAID}<end_of_turn>\n",
    "a head": f"<|start_header_id|>assistant<|end_header_id|>\n\n{SAID}",
    "thoughts and an end": f"<think>a</think>{SAID}<|endoftext|>x",
}


def heard(text: str, size: int, *, cut_off: bool = False) -> str:
    thoughts, shown = Thoughts(), ""
    for piece in [*(text[at : at + size] for at in range(0, len(text), size)), None]:
        given = thoughts.finish(cut_off=cut_off) if piece is None else thoughts.feed(piece)
        if thoughts.taken_back:
            shown, thoughts.taken_back = "", False
        shown += given
    return shown


@pytest.mark.parametrize("form", ALOUD)
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_only_what_is_said_is_shown(form, size):
    assert heard(ALOUD[form], size).strip() == SAID


@pytest.mark.parametrize(
    "plain", ["It is <think> a tag.", "x < 3 and [2] and <b>", "a <", "", "Okay, it is 3 [1].", "[1]"]
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_text_without_thoughts_stays_as_it_is(plain, size):
    assert heard(plain, size) == plain


def test_text_before_thoughts_stays_and_thoughts_that_were_cut_off_go():
    assert heard(f"Sure. <think>hm</think>{SAID}", 3) == f"Sure. {SAID}"
    assert heard("<think>on and on", 3, cut_off=True) == ""
    assert heard("Okay, the user wants to know whether", 3, cut_off=True) == ""


@pytest.mark.parametrize(
    "begins",
    [
        "We have used 300 samples [1].",
        "We are told that it is so [1].",
        "The user study had 12 people [1].",
        "So we see that it is so [1].",
        "Okra seeds were sown in May [1].",
        "Okapi BM25 ranks the passages [1].",
        "Waiting times were 3 days on average [1].",
        "Alrightness is no word [1].",
    ],
)
def test_an_answer_that_begins_as_thoughts_might_is_shown_while_it_is_written(begins):
    assert Thoughts().feed(begins) == begins


@pytest.mark.parametrize(
    "begins",
    [
        "I have to say that it is so [1].",
        "First, I will list them: one, two",
        "Wait times were long [1].",
        "Let me summarise: it is so [1]. It",
        "Okay, it is so [1]. And",
    ],
)
def test_an_answer_that_is_cut_off_is_kept_however_it_begins(begins):
    assert heard(begins, 3, cut_off=True) == begins


def test_a_sentence_that_is_no_thought_gives_way_to_the_end_of_thoughts():
    assert heard(f"The user wants to know. </think>{SAID}", 3) == SAID
    assert heard("The user is asking whether it is so, and", 3, cut_off=True) == ""


async def drafted(model, **options):
    return [piece async for piece in write(model, QUESTION, **({"max_tokens": 50} | options))][-1]


@pytest.mark.parametrize("form", ALOUD)
async def test_thoughts_are_never_part_of_a_draft(form):
    assert (await drafted(ScriptedChatModel([ALOUD[form]]))).text == SAID


async def test_markers_are_normalised_in_the_stream_and_in_the_draft():
    pieces = [p async for p in write(ScriptedChatModel("It is so [Source 1] 【2†source】."), QUESTION, max_tokens=50)]
    assert pieces[-1].text == "It is so [1] [2]."
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == "It is so [1] [2]."


LOOP = "We have used the model to train the model on the data. "


@pytest.mark.parametrize("begins", ["", "Okay, it is so. ", "Let me say: ", "I need to say it. "])
async def test_a_loop_is_stopped_and_costs_no_answer_however_it_begins(begins):
    model = ScriptedChatModel([begins, *[LOOP] * 40])
    draft = await drafted(model)
    assert (draft.text, draft.finish_reason) == ((begins + LOOP).strip(), "repetition")
    assert model.left_early == 1


async def test_thoughts_may_say_a_thing_twice():
    said = "passage 1 says that it is so, and it gives three good reasons for it. "
    reply = ["Okay, the user asks. ", *[said] * 5, "</think>", SAID]
    assert (await drafted(ScriptedChatModel(reply))).text == SAID
    assert (await drafted(ScriptedChatModel(["Okay, it is asked. ", said, said, "</think>", SAID]))).text == SAID


@pytest.mark.parametrize("notes", ["[1]: It is so.\n[2]: It is not.", "[^1]: It is so.\n[^2]: It is not."])
async def test_an_answer_that_is_nothing_but_footnotes_is_an_answer(notes):
    assert (await drafted(ScriptedChatModel([notes]))).text == "It is so. [1]\nIt is not. [2]"


# Behind real HTTP


def model_at(url: str, key: str = "k") -> EndpointChatModel:
    return EndpointChatModel(fixed(Endpoint(url, "stub", key)), name="The stub", timeout=PATIENCE)


def piece(**fields) -> bytes:
    return data({"id": "1", "model": "stub", "choices": [{"index": 0, "delta": fields, "finish_reason": None}]})


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_thoughts_that_the_server_sets_apart_are_not_the_answer(field):
    async with serving(http(piece(**{field: "hm"}) + delta(SAID) + delta(finish="stop") + DONE)) as stub:
        assert (await drafted(model_at(stub.url))).text == SAID


@pytest.mark.parametrize(
    "thoughts",
    [piece(reasoning_content="on and on"), piece(reasoning="on"), delta("<think>on"), delta("Okay, so the user ")],
)
async def test_who_used_up_the_limit_for_thoughts_says_what_to_raise(thoughts):
    async with serving(http(thoughts + delta(finish="length") + DONE)) as stub:
        with pytest.raises(ModelReplyError, match="for thinking") as caught:
            await drafted(model_at(stub.url))
        assert "SCHOLION_MAX_OUTPUT_TOKENS" in (caught.value.hint or "")
        with pytest.raises(ModelReplyError) as caught:
            await drafted(model_at(stub.url), limit="SCHOLION_EXPERT_OUTPUT_TOKENS")
        assert "SCHOLION_EXPERT_OUTPUT_TOKENS" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "It is "}, {"type": "text", "text": "so [1]."}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": SAID}],
        {"type": "text", "text": SAID},
        ["It is so ", "[1]."],
    ],
)
async def test_content_may_be_a_list_of_parts(content):
    async with serving(http(piece(content=content) + delta(finish="stop") + DONE)) as stub:
        assert (await drafted(model_at(stub.url))).text == SAID


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": None, "completion_tokens": None}, None),
        ({"prompt_tokens": 7}, None),
        ({}, None),
        ({"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": None}, Usage(7, 2)),
    ],
)
async def test_usage_with_gaps_is_unknown_and_costs_no_answer(usage, read):
    end = data({"choices": [], "model": "stub", "usage": usage})
    async with serving(http(delta(SAID) + delta(finish="stop") + end + DONE)) as stub:
        draft = await drafted(model_at(stub.url))
    assert (draft.text, draft.usage) == (SAID, read)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "model is loading"},
        {"error": {"message": "model is loading", "type": "unavailable"}},
        {"object": "error", "message": "model is loading", "code": 503},
        {"detail": [{"msg": "model is loading"}]},
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_an_error_with_status_200_is_told_in_its_own_words(body, kind):
    async with serving(http(json.dumps(body, indent=1).encode(), kind=kind)) as stub:
        with pytest.raises(ModelReplyError) as caught:
            await drafted(model_at(stub.url))
    assert "model is loading" in str(caught.value)


async def test_an_error_among_the_pieces_is_told_in_its_own_words_too():
    async with serving(http(data({"error": "model is loading"}))) as stub:
        with pytest.raises(ModelReplyError, match="model is loading"):
            await drafted(model_at(stub.url))


async def test_a_server_that_does_not_stream_is_heard():
    whole = {
        "id": "1", "object": "chat.completion", "model": "stub", "usage": {"prompt_tokens": 7, "completion_tokens": 2},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}],
    }  # fmt: skip
    async with serving(http(json.dumps(whole).encode(), kind="application/json")) as stub:
        draft = await drafted(model_at(stub.url))
    assert (draft.text, draft.usage, draft.finish_reason) == (SAID, Usage(7, 2), "stop")


async def test_a_key_may_have_a_line_end_and_no_other_letters():
    async with serving(http(delta(SAID) + delta(finish="stop") + DONE)) as stub:
        assert (await drafted(model_at(stub.url, key=" secret\r\n"))).text == SAID
        assert stub.requests[0][1]["authorization"] == "Bearer secret"
        for key in ("schlüssel", "a\nb", "ключ"):
            with pytest.raises(ModelRefusedError, match="has a character that cannot be sent") as caught:
                await drafted(model_at(stub.url, key=key))
            assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "base"),
    [
        ("localhost:11434/v1#qwen", "http://localhost:11434/v1"),
        ("127.0.0.1:8080#m", "http://127.0.0.1:8080/v1"),
        ("192.168.1.5:1234/v1#m", "http://192.168.1.5:1234/v1"),
        ("api.example.org/v1#m", "https://api.example.org/v1"),
        ("[::1]:8080/v1#m", "http://[::1]:8080/v1"),
    ],
)
def test_an_address_may_lack_its_scheme(setting, base, tmp_path):
    found = resolve(setting, registry=load(tmp_path), library=tmp_path)
    assert isinstance(found, ModelServer)
    assert found.base_url == base


def test_a_name_is_no_address(tmp_path):
    with pytest.raises(UnknownModelError):
        resolve("qwen2.5:7b", registry=load(tmp_path), library=tmp_path)
