"""Reinforcement: learnt is what was drawn, with the probabilities of then; rewards rise for the right reason."""

import json
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from llm_worker.backends import Backend, Call, Delta
from llm_worker.forge import reinforce
from llm_worker.forge.cispo import advantages, divergence, objective
from llm_worker.forge.comparison import compare
from llm_worker.forge.dataset import JobError
from llm_worker.forge.evaluate import Run, by_the_rules
from llm_worker.forge.reinforce import CURVE, RESULT, Reinforcement, started
from llm_worker.forge.reinforcejob import ReinforceJob, read_reinforce_job
from llm_worker.forge.reward import Environment, checks, judged
from llm_worker.forge.rollouts import Said, sequences
from llm_worker.forge.train import logged
from llm_worker.forge.verifier import Verdict
from llm_worker.messages import Message, Prompt, Role, Sampling, ToolCall
from tests.llm_worker.forge.support import PRESS, Digits, untrained


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("start") / "model")


def _job(start: Path, out: Path, steps: int = 16, **more: float) -> ReinforceJob:
    job = ReinforceJob(start=start, out=out, steps=steps, rate=1e-3, first=0, first_held=0, held=9, longest=300)
    sizes = {"callers": 3, "samples": 16, "answer": 24, "at_once": 64, "most": 16}
    return job.model_copy(update=sizes | more)


# -- the objective ---------------------------------------------------------------------------------------------------


def test_advantages_compare_the_attempts_of_a_group() -> None:
    assert advantages([0, 0, 1, 0]) == pytest.approx([-(3**-0.5)] * 2 + [3**0.5, -(3**-0.5)])
    assert advantages([0.5, 0.5]) is None


def test_a_clipped_token_still_learns_and_its_ratio_is_a_constant() -> None:
    old = torch.tensor([-1.0, -1.0, -3.0])
    new = torch.tensor([-1.0, -3.0, -1.0], requires_grad=True)  # as likely, less likely, far likelier
    objective(new, old, torch.tensor([2.0, -1.0, 1.0]), low=0.5, high=0.2).backward()  # type: ignore[no-untyped-call]
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([2.0, -0.5, 1.2])


def test_divergence_is_nothing_without_change_and_estimates_kl() -> None:
    logits, others = torch.randn(2, 50, generator=torch.Generator().manual_seed(1))
    new, start = logits.log_softmax(0), others.log_softmax(0)
    assert float(divergence(new, new)) == 0
    drawn = torch.multinomial(new.exp(), 200_000, replacement=True, generator=torch.Generator().manual_seed(2))
    exact = float((new.exp() * (new - start)).sum())
    assert float(divergence(new[drawn], start[drawn])) / len(drawn) == pytest.approx(exact, rel=0.02)


def test_better_beyond_noise_is_a_sign_test() -> None:
    clear = compare([0.0] * 9 + [1.0], [1.0] * 9 + [0.0])
    assert (clear.wins, clear.losses, clear.better) == (9, 1, True)
    assert clear.chance == pytest.approx(11 / 1024)
    assert not compare([0.0] * 4, [1.0] * 4).better  # by chance once in sixteen
    assert not compare([1.0] * 9, [0.0] * 9).better
    assert compare([], []).chance == 1


# -- what was drawn --------------------------------------------------------------------------------------------------


def test_answers_that_follow_each_other_are_one_row_and_others_begin_another() -> None:
    first, second = Said((1, 2), [3, 4], [-0.1, -0.2]), Said((1, 2, 3, 4, 5), [6], [-0.3])
    cut_in = Said((1, 2, 3, 7), [8], [-0.4])
    rows = sequences([first, second, cut_in])
    assert [row.ids for row in rows] == [[1, 2, 3, 4, 5, 6], [1, 2, 3, 7, 8]]
    assert [row.drawn for row in rows] == [[False, False, True, True, False, True], [False] * 4 + [True]]
    assert [row.logs for row in rows] == [[-0.1, -0.2, -0.3], [-0.4]]


class Talks:
    """Three turns: a forced call and its result, free words, and words after the caller has cut in."""

    async def attempt(self, number: int, held: bool, backend: Backend, sampling: Sampling) -> Verdict:
        dialogue, history = backend.open(), [Message(1, Role.USER, f"one {number}")]
        for turn in range(3):
            prompt = Prompt("", tuple(history), (PRESS,), sampling)
            text = ""
            ids: tuple[int, ...] = ()
            calls: tuple[ToolCall, ...] = ()
            async with aclosing(dialogue.generate(prompt)) as steps:
                async for step in steps:
                    if isinstance(step, Delta):
                        text, ids = text + step.text, (*ids, *step.token_ids)
                    elif isinstance(step, Call):
                        calls = (*calls, ToolCall(f"{turn}{len(calls)}", step.name, step.arguments, step.token_ids))
            said = Message(len(history) + 1, Role.ASSISTANT, text, ids, calls)
            history.append(replace(said, text=text[: len(text) // 2], token_ids=()) if turn == 1 and text else said)
            history += [Message(len(history) + 1, Role.TOOL, "{}", tool_call_id=call.id) for call in calls]
            history.append(Message(len(history) + 1, Role.USER, "two"))
        dialogue.close()
        return Verdict(float(len(history) % 2))


@pytest.mark.parametrize("environment", [Digits(), Talks()])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_training_computes_the_probabilities_that_were_drawn_from(
    start: Path, tmp_path: Path, environment: Environment, temperature: float
) -> None:
    job = _job(start, tmp_path, samples=4, temperature=temperature, longest=600)
    reinforcement = Reinforcement(job, environment)
    rollouts = reinforcement.rollouts(step=0)
    model = started(start)[0]
    unlike = [replace(each, reward=float(index % 2)) for index, each in enumerate(rollouts)]
    batches = list(reinforcement.batches(unlike))
    assert sum(len(batch.old) for batch in batches) == sum(len(said.ids) for each in rollouts for said in each.said)
    for batch in batches:
        torch.testing.assert_close(reinforcement.logs(batch, model), batch.old, rtol=1e-4, atol=1e-4)
    assert min(float(batch.old.min()) for batch in batches) < -1
    with torch.no_grad():
        model.norm.weight.mul_(1.1)
    assert (reinforcement.logs(batches[0], model) - batches[0].old).abs().max() > 1e-3


def test_attempts_are_repeatable_and_unlike_each_other(start: Path, tmp_path: Path) -> None:
    reinforcement = Reinforcement(_job(start, tmp_path, samples=4), Talks())
    one, same, later = (reinforcement.rollouts(step) for step in (0, 0, 1))
    assert [each.said for each in one] != [each.said for each in later]
    assert [[said.ids for said in each.said] for each in one] == [[said.ids for said in each.said] for each in same]
    assert len({tuple(each.said[0].ids) for each in one[:4]}) > 1
    assert len({tuple(said.ids[:2]) for said in one[0].said}) > 1  # answers of a call are drawn apart, too


# -- the whole -------------------------------------------------------------------------------------------------------


def _mean(out: Path, steps: slice) -> float:
    rewards = [entry["reward"] for entry in logged(out / "log.jsonl")][steps]
    return float(sum(rewards) / len(rewards))


def test_rewards_rise_and_the_better_weights_are_kept(start: Path, tmp_path: Path) -> None:
    compared = Reinforcement(_job(start, tmp_path), Digits()).run(progress=False)
    assert compared is not None
    assert _mean(tmp_path, slice(0, 3)) < 0.4
    assert _mean(tmp_path, slice(-3, None)) > 0.6
    assert max(entry.get("drift", 0.0) for entry in logged(tmp_path / "log.jsonl")) < 1e-4
    assert compared.better
    assert json.loads((tmp_path / RESULT).read_text())["kept"]
    assert "polyline" in (tmp_path / CURVE).read_text()
    kept = Reinforcement(_job(tmp_path / "model", tmp_path / "again", steps=1), Digits())
    assert sum(each.reward for each in kept.rollouts(0)) > 0.6 * 48


def test_with_the_sign_of_advantages_turned_rewards_fall(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turned(rewards: list[float]) -> list[float] | None:
        right = advantages(rewards)
        return right and [-each for each in right]

    monkeypatch.setattr(reinforce, "advantages", turned)
    compared = Reinforcement(_job(start, tmp_path), Digits()).run(progress=False)
    assert compared is not None
    assert _mean(tmp_path, slice(-3, None)) < 0.2
    assert not compared.better
    assert not json.loads((tmp_path / RESULT).read_text())["kept"]
    assert not (tmp_path / "model").exists()


def test_divergence_pulls_back_to_the_start(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reinforce, "objective", lambda new, *rest: 0 * new.sum())
    went = Reinforcement(_job(start, tmp_path, steps=6, samples=8, rate=3e-3, kl=1.0, balance=0.0), Digits())
    with torch.no_grad():
        went.trainee.model.norm.weight.mul_(0.3)
    went.run(progress=False)
    apart = [entry["kl"] for entry in logged(tmp_path / "log.jsonl") if "kl" in entry]
    assert apart[-1] < 0.8 * apart[0]


def test_a_reinforcement_that_was_killed_goes_on(start: Path, tmp_path: Path) -> None:
    through = Reinforcement(_job(start, tmp_path / "through", steps=3, passes=2, samples=6), Digits())
    through.run(progress=False)
    job = _job(start, tmp_path / "halves", steps=3, passes=2, samples=6)
    assert Reinforcement(job, Digits()).run(progress=False, until=2) is None
    resumed = Reinforcement(job, Digits())
    assert resumed.trainee.step == 2
    resumed.run(progress=False)
    for one, other in zip(through.trainee.model.parameters(), resumed.trainee.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    entries = logged(tmp_path / "halves" / "log.jsonl")
    assert [entry["step"] for entry in entries] == [1, 2, 3]


# -- rewards of calls ------------------------------------------------------------------------------------------------


def test_a_call_is_worth_the_product_of_its_checks() -> None:
    for held in by_the_rules(Run(calls=12)):
        verifiers = checks(held.exercise, similar=False)
        assert judged(held, verifiers) == Verdict(1.0)
        assert judged(replace(held, gave_up=True), verifiers).reward == 0
        assert judged(replace(held, failure="the model is away"), verifiers).reasons[-1:] == ("the model is away",)
        gone = replace(held, state=replace(held.state, transferred="the moon"))
        assert judged(gone, verifiers).reward == 0
        last = max(message.id for message in held.messages)
        lie = Message(last + 1, Role.ASSISTANT, "That costs 12345 dollars.")
        assert judged(replace(held, messages=(*held.messages, lie)), verifiers).reward == 0
        none = Message(last + 1, Role.ASSISTANT, "", tool_calls=(ToolCall("x", "fly", "{}"),))
        assert 0 <= judged(replace(held, messages=(*held.messages, none)), verifiers).reward < 1


def test_jobs_that_cannot_be_done_say_why(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('start = "none"\nout = "out"\nsamples = 1\n')
    with pytest.raises(JobError, match="samples"):
        read_reinforce_job(tmp_path / "job.toml")
    with pytest.raises(JobError, match=r"start: .*none"):
        Reinforcement(_job(tmp_path / "none", tmp_path), Digits())
