"""Training: what is shared is computed once and changes nothing, what is learnt is what the front desk says, and a
training that was killed goes on as if it had not been."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from llm_worker.forge.corpus import IGNORED, By, Group, groups, learnable
from llm_worker.forge.curve import svg
from llm_worker.forge.dataset import Generated, generate
from llm_worker.forge.jobfile import JobError
from llm_worker.forge.learning import Balance, fresh, loss
from llm_worker.forge.records import Conversation
from llm_worker.forge.train import CURVE, LOG, Training, rate_at
from llm_worker.forge.trainjob import TrainJob, read_train_job
from llm_worker.messages import Message, Role
from llm_worker.model.checkpoint import load
from llm_worker.model.config import load_config, shipped_config
from llm_worker.text.bpe import train_bpe
from llm_worker.text.chat import ChatFormat
from llm_worker.text.tokenizer import Tekken
from training.team import Team, together

NANO = shipped_config("nano")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def form() -> ChatFormat:
    texts = [message.text for made in generate(Generated(), 0, "train", 30) for message in made.messages]
    return ChatFormat(Tekken(train_bpe(texts, NANO.vocab_size)))


@pytest.fixture(scope="module")
def group(form: ChatFormat) -> Group:
    return next(groups(generate(Generated(), 0, "train", 8), form, most=4, longest=8192))


def test_a_shared_beginning_changes_nothing(group: Group) -> None:
    model = fresh(NANO, 1)
    shared = group.ends[0]
    apart = torch.zeros(())
    for first, last in pairwise(group.ends):
        ids = torch.cat((group.ids[:shared], group.ids[first:last])).unsqueeze(0)
        targets = torch.cat((torch.full((shared,), IGNORED), group.targets[first:last]))
        apart = apart + functional.cross_entropy(
            model.logits(model.whole(ids)[0]), targets, reduction="sum", ignore_index=IGNORED
        )
    together = loss(model, group)
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-3)
    together.backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    assert group.whole == sum(shared + last - first for first, last in pairwise(group.ends))
    assert group.computed < group.whole / 2


def test_what_is_learnt_is_what_the_front_desk_says(form: ChatFormat) -> None:
    said = [
        Message(1, Role.SYSTEM, "You are the desk."),
        Message(2, Role.ASSISTANT, "Hello."),
        Message(3, Role.USER, "Hi, one"),
        Message(4, Role.ASSISTANT, "Never heard to its"),
        Message(5, Role.USER, "two"),
        Message(6, Role.ASSISTANT, "Second."),
    ]
    ids, learn = learnable(Conversation("c", "s", "", tuple(said), cut_short=frozenset({4})), form)
    learnt = [token for token, by in zip(ids, learn, strict=True) if by == By.FRONT_DESK]
    others = form._tokenizer.decode([token for token, by in zip(ids, learn, strict=True) if by == By.OTHERS])
    assert others == b"Hi, onetwo"
    assert form._tokenizer.decode(learnt[:-1]) == b"Second."
    assert learnt[-1] == form._tokenizer.eos


def test_targets_are_the_next_tokens(group: Group, form: ChatFormat) -> None:
    learnt = group.targets != IGNORED
    assert group.learnt == int(learnt.sum()) > 100
    assert not learnt[: group.ends[0] - 1].any()
    said = group.others != IGNORED
    assert not (learnt & said).any()
    assert (learnt | ~group.calls).all()
    calls = group.targets[group.calls]
    assert form.call_id in calls
    assert group.calls.sum() < group.learnt / 2
    for mask, targets in ((learnt, group.targets), (said, group.others)):
        where = mask.nonzero().flatten()
        assert torch.equal(targets[where], group.ids[where + 1])


def test_even_experts_are_balanced_and_a_favourite_is_not() -> None:
    model = fresh(NANO, 2)
    balance = Balance().watch(model)
    with torch.no_grad():
        for layer in model.layers:
            layer.feed_forward.router.weight.zero_()
        model.whole(torch.arange(20).unsqueeze(0))
        assert float(balance.taken()) == pytest.approx(1.0)
        for layer in model.layers:
            layer.feed_forward.router.weight[0] = 5 * torch.ones(NANO.dim)
            layer.ffn_norm.weight.fill_(1.0)
        model.embedding.weight.abs_()
        model.whole(torch.arange(20).unsqueeze(0))
    assert float(balance.taken()) > 1.2
    balance.close()
    model.whole(torch.arange(3).unsqueeze(0))
    with pytest.raises(RuntimeError, match="no router"):
        balance.taken()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few short talks, so that a step is quick."""
    out = tmp_path_factory.mktemp("data")
    for split, names in (("train", ["Ann", "Bert", "Cleo", "Dov", "Edda", "Fay"]), ("held", ["Gil"])):
        lines = [_talk(name).to_json() for name in names]
        (out / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return out


def _talk(name: str) -> Conversation:
    said = [
        "You are the front desk of a surgery.",
        "Hello.",
        f"I am {name}.",
        f"Hello {name}, which day would suit you?",
    ]
    roles = (Role.SYSTEM, Role.ASSISTANT, Role.USER, Role.ASSISTANT)
    messages = tuple(Message(number, *each) for number, each in enumerate(zip(roles, said, strict=True), 1))
    return Conversation(name, "test", "2026-11-24T09:00:00", messages)


def _job(data: Path, out: Path, steps: int = 4) -> TrainJob:
    job = TrainJob(data=data, out=out, config="nano", steps=steps, rate=5e-3, store="f32")
    return job.model_copy(update={"most": 2, "warm_up": 1, "every": 2, "held": 2})


def test_a_training_that_was_killed_goes_on(data: Path, tmp_path: Path) -> None:
    through = Training(_job(data, tmp_path / "through"))
    through.run(progress=False)
    Training(_job(data, tmp_path / "halves")).run(progress=False, until=2)
    resumed = Training(_job(data, tmp_path / "halves"))
    assert resumed.trainee.step == 2
    resumed.run(progress=False)
    for one, other in zip(through.trainee.model.parameters(), resumed.trainee.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert _untimed(tmp_path / "halves" / LOG) == _untimed(tmp_path / "through" / LOG)
    assert "polyline" in (tmp_path / "halves" / CURVE).read_text()
    folder = tmp_path / "halves" / "model"
    config = load_config(folder / "params.json")
    loaded = load(folder, config, torch.float32, "cpu")
    ids = torch.arange(50, 60).unsqueeze(0)
    assert torch.equal(loaded.whole(ids), resumed.trainee.model.whole(ids))
    assert Tekken.read(folder / "tekken.json").size == config.vocab_size


def _untimed(log: Path) -> list[dict[str, float]]:
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(entry.pop("seconds") > 0 for entry in entries)
    return entries


def test_two_processes_learn_what_one_does(data: Path, tmp_path: Path) -> None:
    job = _job(data, tmp_path / "one", steps=3).model_copy(update={"groups": 2})
    together(1, run, job)
    together(2, run, job.model_copy(update={"out": tmp_path / "two", "processes": 2}))
    one, two = (torch.load(tmp_path / name / "state.pt")["model"] for name in ("one", "two"))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-3, atol=2e-3)
    assert [entry["step"] for entry in _untimed(tmp_path / "two" / LOG)] == [1, 2, 3]


def run(team: Team, job: TrainJob) -> None:
    Training(job, team).run(progress=False)


def test_what_raises_in_one_of_two_processes_ends_both(tmp_path: Path) -> None:
    job = TrainJob(data=tmp_path, out=tmp_path / "out", groups=2, processes=2)
    with pytest.raises(Exception, match="make it with `data`"):
        together(2, run, job)


def test_bfloat16_computes_about_the_same(data: Path, tmp_path: Path) -> None:
    exact = Training(_job(data, tmp_path / "exact", steps=20))
    exact.run(progress=False)
    rounded = Training(_job(data, tmp_path / "rounded", steps=20).model_copy(update={"dtype": "bfloat16"}))
    assert rounded.trainee.computing.embedding.weight.dtype == torch.bfloat16
    assert rounded.trainee.model.embedding.weight.dtype == torch.float32
    rounded.run(progress=False)
    assert rounded.held_loss() == pytest.approx(exact.held_loss(), rel=0.1)


def test_learning_lowers_the_loss(data: Path, tmp_path: Path) -> None:
    training = Training(_job(data, tmp_path, steps=20))
    before = training.held_loss()
    training.run(progress=False)
    assert training.held_loss() < before - 1
    entries = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in entries] == list(range(1, 21))
    assert [entry["step"] for entry in entries if "held" in entry] == list(range(2, 21, 2))


def test_the_rate_rises_and_falls() -> None:
    job = TrainJob(data=Path(), out=Path(), steps=100, warm_up=10, rate=1.0)
    rates = [rate_at(job, step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[75] == 1.0 > rates[76]
    assert rates[100] == 0
    assert all(one >= other for one, other in pairwise(rates[10:]))


def test_jobs_that_cannot_be_done_say_why(data: Path, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('data = "none"\nout = "out"\nsteps = 0\n')
    with pytest.raises(JobError, match="steps"):
        read_train_job(tmp_path / "job.toml")
    with pytest.raises(JobError, match="make it with `data`"):
        Training(_job(tmp_path / "none", tmp_path))
    with pytest.raises(JobError, match="no configuration 'what'"):
        Training(_job(data, tmp_path / "a").model_copy(update={"config": "what"}))
    with pytest.raises(JobError, match="at most 16 tokens"):
        Training(_job(data, tmp_path / "b").model_copy(update={"longest": 16}))


def test_a_picture_without_points_is_one() -> None:
    assert svg({"loss": []}, "a < b").startswith("<svg")
    assert "a &lt; b" in svg({}, "a < b")


@pytest.fixture(scope="module")
def taught(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that has learnt a little."""
    out = tmp_path_factory.mktemp("taught")
    Training(_job(data, out, steps=10)).run(progress=False)
    return out / "model"


def test_a_trained_model_can_learn_more(data: Path, taught: Path, tmp_path: Path) -> None:
    job = _job(data, tmp_path, steps=10).model_copy(update={"start": taught, "config": "frontdesk"})
    training = Training(job)
    assert training.config == load_config(taught / "params.json")
    before = training.held_loss()
    training.run(progress=False)
    assert training.held_loss() < before - 0.3


def test_low_rank_matrices_learn_and_the_others_stay(data: Path, taught: Path, tmp_path: Path) -> None:
    job = _job(data, tmp_path, steps=21).model_copy(update={"start": taught, "lora": 4, "rate": 2e-2})
    training = Training(job)
    before = training.held_loss()
    assert before == pytest.approx(Training(job.model_copy(update={"lora": 0})).held_loss())
    training.run(progress=False, until=10)
    resumed = Training(job)
    resumed.run(progress=False)
    losses = [loss for _, loss in resumed.curves()["training"]]
    assert sum(losses[-3:]) < sum(losses[:3]) - 0.2  # all conversations the last time, and the first
    config = load_config(taught / "params.json")
    own, merged = (load(folder, config, torch.float32, "cpu") for folder in (taught, tmp_path / "model"))
    changed = {name for name, weight in own.state_dict().items() if not torch.equal(weight, merged.state_dict()[name])}
    assert changed
    assert all(".attention." in name or ".shared." in name for name in changed)
    ids = torch.arange(60).unsqueeze(0)
    torch.testing.assert_close(merged.whole(ids), resumed.trainee.model.whole(ids), atol=1e-5, rtol=1e-4)


def test_what_cannot_be_started_from_says_why(data: Path, taught: Path, tmp_path: Path) -> None:
    job = _job(data, tmp_path / "a").model_copy(update={"start": taught})
    with pytest.raises(JobError, match="rank 64"):
        Training(job.model_copy(update={"lora": 64}))
    with pytest.raises(JobError, match="start: "):
        Training(job.model_copy(update={"start": tmp_path / "nothing", "out": tmp_path / "b"}))
    (tmp_path / "job.toml").write_text('data = "d"\nout = "o"\nlora = 4\n')
    with pytest.raises(JobError, match="a model to `start` from"):
        read_train_job(tmp_path / "job.toml")
