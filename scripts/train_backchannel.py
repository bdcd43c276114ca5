"""Train the networks of `agent/listening/onset.py` on the packaged voice, and report what it tells on held-out phrases.

    python -m scripts.train_backchannel [--write]

Phrases of the new sets are not in the training set; the speeds and pitches of no held-out set are. One voice, changed
in speed, pitch, level and noise, is all there is: the figures are of this voice.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.audio import Samples
from agent.listening.onset import LOOKS, RATE, Onset, onset_features
from loadtest.scenario import Noise, Voice
from loadtest.voice import Studio

WEIGHTS = Path(__file__).parent.parent / "agent" / "listening" / "onset.json"
HIDDEN = 40
NETWORKS = 3
"""Trained from different starts for each look; their mean is one network three times as wide."""

BACKCHANNELS = (
    "Mhm.", "Mm-hm.", "Mm-hmm.", "Mm.", "Uh-huh.", "Yeah.", "Yeah, yeah.", "Okay.", "Right.", "Sure.", "I see.",
    "Ah, okay.", "Yep.", "Yes.", "Alright.", "Great.",
    "Uh-huh, uh-huh.", "Okay, okay.", "Okay, good.", "Oh, okay.", "Right, right.", "Mm-hm, mm-hm.",
)  # fmt: skip
NEW_BACKCHANNELS = ("Yeah, okay.", "Mm, right.", "Uh-huh, yeah.", "Good.", "Oh.", "Got it.")
INTERRUPTIONS = (
    "Wait, I need to change that.", "No, that is wrong.", "Stop, please.", "Sorry, can I ask something?",
    "Excuse me, what was that?", "Hold on a second.", "Actually, I meant Thursday.", "Can I say something?",
    "But I cannot come on Monday.", "What did you say?", "How much does it cost?", "That's not what I asked.",
    "Could you repeat that?", "One moment, please.", "Hang on, I have a question.", "Let me think about it.",
    "My name is Peter, not Dieter.", "Not on Tuesday.", "Hello? Can you hear me?", "Please stop talking.",
    "Thursday would be better.", "Nine o'clock is too early.", "Is there anything later?", "Do you have parking?",
    "I would rather come in the morning.", "I don't want that.", "I'm sorry, I have to interrupt you.",
    "Never mind, thank you.", "Forget it.", "Just tell me the price.", "Where are you located?",
    "When do you open?", "Who am I speaking to?", "Why do I have to wait?", "Maybe next week instead.",
    "The number is wrong.", "There is a mistake.", "Tell me about the other one.", "Can you speak up?",
    "Cancel it, please.", "Change it to Friday.", "Go back to the first one.", "Listen, I am in a hurry.",
    "Pardon me, the line is bad.", "We only need half an hour.", "You got that wrong.", "Friday is fine.",
    "Before you go on, is it covered?", "It's for my daughter.", "Is that including tax?", "Does it hurt?",
    "Thank you, that is enough.", "Too late for me.", "Twelve thirty would be good.", "Say that again?",
    "She cannot come then.", "He is only five.", "Put me through to somebody.", "Give me a person, please.",
    "And what about Wednesday?", "Or the week after?", "Speak slower, please.", "Ten would be better.",
    "I already told you that.", "I have to leave at five.", "I can't hear you.", "I want to speak to somebody else.",
    "Can I come later?", "Can you say that again?", "Could we skip that?", "Stop it.", "Stop, stop.",
    "Excuse me, miss.", "Except on Fridays.", "Actually, no.", "Actually, that is fine.", "After five would be better.",
    "My phone number is different.", "My husband will come instead.", "My tooth hurts.", "More slowly, please.",
    "So what do I do now?", "Sorry, sorry.", "Sorry, I missed that.", "Saturday is impossible.", "Some other time.",
    "Let's try another day.", "Later, please.", "Last time it was cheaper.", "Leave it.", "Not yet.", "Never.",
    "No way.", "No thanks, I am fine.", "Now I remember.", "Wait wait.", "We had that already.", "How about Monday?",
    "Which one?", "Will you call me?", "Hold the line.", "How about three?", "Hey, hello.", "Help me out here.",
    "Please repeat.", "Perhaps on Monday.", "Put that down.", "Please wait.", "Don't book that yet.", "Doctor who?",
    "Tomorrow is better.", "The address again, please.", "Then I'll come at ten.", "There's no need.", "Ten past nine?",
    "In the evening?", "It costs how much?", "If possible earlier.", "Ask the doctor.", "At what time?",
    "Be quiet for a second.", "Both of us.", "Five is too late.", "For how long?", "From where?", "You said Tuesday.",
    "Your line is bad.", "Very good, thank you, goodbye.", "Another question.", "Anyway, I must go.", "Move it to May.",
    "No, the other one.", "No, I said Friday.", "No, that's the other one.", "No, it is for Tuesday.", "No, listen.",
    "No, I don't think so.", "No, my name is Miller.", "No, please.", "No, sorry, that's wrong.", "No, not that.",
    "No, no, no.", "Nope.", "Nobody told me that.", "None of those.", "Nothing, thanks.", "Not that one.",
    "Not so fast.", "Now wait.", "Nine o'clock, please.", "Nine would be good.", "Nineteen, not ninety.",
    "New question.", "Next week, please.", "Next Friday?", "Need I bring something?", "Never mind that.",
    "Never on Mondays.", "My mistake.", "My phone is dying.", "My wife will come.", "My doctor said otherwise.",
    "My number is wrong.", "Maybe later.", "Maybe I should call later.", "May I ask something?", "Many thanks.",
    "Monday is better.", "Mine is at four.", "Me again, sorry.", "More than that?", "Morning or afternoon?",
    "Let me ask my wife.", "Looks like I can't.", "Would Monday work?", "With whom?", "Will that hurt?",
    "When exactly?", "Well, that's expensive.", "Who are you?", "Write that down for me.", "Anything earlier?",
    "A second, please.", "And Friday?", "And when?", "And what about my daughter?", "Always the same.",
    "Also on Friday?", "Er, what?", "Er, sorry.", "Um, no.", "Umm, wait.", "Uh, one moment.", "Hello, hello?",
    "Hang on a moment.", "How far is it?", "Hold on, how much?", "I think that's wrong.", "I thought it was free.",
    "I think it's the wrong day.", "I think we should stop.", "I thought you were open.", "I said Monday.",
    "I feel ill.", "I need it today.", "I meant the other one.", "I mean Thursday.", "I'd like another day.",
    "Isn't it on Monday?", "Is there a lift?", "It was Tuesday.", "It is urgent.", "It hurts a lot.",
    "In the morning, please.", "Insurance?", "On Friday?", "Only on Mondays.", "One thing.", "Once more, please.",
    "Other question.", "Only one more thing.", "Under what name?", "Until when?", "Your address?",
    "Your website says six.", "You mean Friday?", "You are too fast.", "Yesterday you said six.", "Really?",
    "Repeat that.", "Rather not.", "Give me a minute.", "Got to go.", "So, no.", "Say again.", "She is ill.",
    "Shall I come earlier?", "Should I come earlier?", "Shoulder pain, mostly.", "Between two and three.",
    "Best on Friday.",
)  # fmt: skip
NEW_INTERRUPTIONS = (
    "Sorry, how much does a check-up cost?", "No no, wait.", "Hey, one question.", "Can we do Monday instead?",
    "Wait a minute.", "Actually, can you spell that?", "What time was that?", "I have another question.",
    "That doesn't work for me.", "Stop.", "Excuse me.", "Is Doctor Miller there?", "Do I need to bring anything?",
    "Could it be earlier?", "Hold it.", "But that's too expensive.", "Which day did you say?", "Let's do Tuesday.",
    "My insurance changed.", "Please hold on.", "Tuesday, not Thursday.", "How long does it take?",
    "Four in the afternoon.", "Will it be the same doctor?", "Are you a robot?", "The other address, please.",
)  # fmt: skip
AMBIGUOUS = ("Yes, but not on Monday.", "Okay, and what does it cost?", "Right, can I change that?", "Yeah, no.")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variants:
    """How a set is spoken."""

    speeds: tuple[float, ...]
    pitches: tuple[float, ...]
    takes: int
    """Of speed and pitch, for each phrase."""
    seed: int


TRAINING = Variants((0.8, 0.9, 1.0, 1.1, 1.2, 1.35), (0.8, 0.88, 0.96, 1.0, 1.04, 1.12, 1.22), 26, 1)
HELD_OUT = Variants((0.85, 0.95, 1.05, 1.15, 1.25), (0.84, 0.92, 1.02, 1.08, 1.17), 6, 2)


class Recordings:
    """Speaks phrases and disturbs them as a telephone does."""

    def __init__(self) -> None:
        self.seconds = LOOKS[0]
        """Of sound that `features` looks at."""
        self._studio = Studio()
        self._noises = [self._studio.background(Noise(kind=kind, snr_db=15), 1) for kind in ("pink", "babble")]

    def features(self, phrases: tuple[str, ...], variants: Variants, copies: int) -> Floats:
        """(phrases × takes × copies, features)."""
        rng = np.random.default_rng(variants.seed)
        rows = []
        for phrase in phrases:
            for _ in range(variants.takes):
                voice = Voice(
                    speed=float(rng.choice(variants.speeds)),
                    pitch=float(rng.choice(variants.pitches)),
                    seed=int(rng.integers(1000)),
                )
                clip = self._studio.clip(phrase, voice)
                lines = (self._on_the_line(clip.samples, clip.first_voiced, rng) for _ in range(copies))
                rows += [onset_features(line, RATE) for line in lines]
        return np.array(rows)

    def _on_the_line(self, clip: Samples, first: int, rng: np.random.Generator) -> Samples:
        """The beginning as an ear cuts it: its start a little off, other level, noise behind, G.711."""
        length = round(self.seconds * RATE)
        late = rng.uniform(0, 0.1) if rng.random() < 0.4 else rng.normal(0, 0.008)
        start = first + int(late * RATE)
        padded = np.concatenate([np.zeros(RATE, np.float64), clip, np.zeros(RATE, np.float64)])
        sound = padded[RATE + start :][:length]
        kind = rng.integers(4)
        if kind < 3:
            noise = self._noises[min(int(kind), 1)]
            at = int(rng.integers(len(noise) - length))
            sound = sound + noise[at : at + length] * 10 ** (-rng.uniform(-2, 15) / 20)
        return _mu_law(sound * 10 ** (rng.uniform(-18, 3) / 20))


def _mu_law(sound: Floats) -> Samples:
    x = np.clip(sound / 32768, -1, 1)
    steps = np.round(np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) * 127) / 127
    decoded: Samples = (np.sign(steps) * (256 ** np.abs(steps) - 1) / 255 * 32767).astype(np.int16)
    return decoded


def train(inputs: Floats, targets: Floats, epochs: int = 60, seed: int = 0) -> Onset:
    """Fit by Adam on batches of 64 with weight decay; both classes weigh the same."""
    rng = np.random.default_rng(seed)
    mean, scale = inputs.mean(0), inputs.std(0) + 0.05
    x = (inputs - mean) / scale
    weights = np.where(targets > 0, 0.5 / targets.mean(), 0.5 / (1 - targets.mean()))
    parameters = [rng.normal(0, 0.05, (x.shape[1], HIDDEN)), np.zeros(HIDDEN), rng.normal(0, 0.3, HIDDEN), np.zeros(1)]
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    step = 0
    for epoch in range(epochs):
        rate = 2e-3 * (1 - epoch / epochs)
        for batch in np.array_split(rng.permutation(len(x)), len(x) // 64):
            step += 1
            noisy = x[batch] + rng.normal(0, 0.3, x[batch].shape)
            for n, gradient in enumerate(_gradients(parameters, noisy, targets[batch], weights[batch])):
                first[n] = 0.9 * first[n] + 0.1 * gradient
                second[n] = 0.999 * second[n] + 0.001 * gradient**2
                move = first[n] / (1 - 0.9**step) / (np.sqrt(second[n] / (1 - 0.999**step)) + 1e-8)
                parameters[n] = parameters[n] - rate * (move + 0.02 * parameters[n])
    hidden, hidden_bias, output, output_bias = parameters
    return Onset(mean, scale, hidden, hidden_bias, output, float(output_bias[0]))


def _gradients(parameters: list[Floats], x: Floats, y: Floats, weights: Floats) -> list[Floats]:
    hidden, hidden_bias, output, output_bias = parameters
    active = np.tanh(x @ hidden + hidden_bias)
    error = weights * (1 / (1 + np.exp(-(active @ output + output_bias))) - y) / len(x)
    back = np.outer(error, output) * (1 - active**2)
    return [x.T @ back, back.sum(0), active.T @ error, error.sum(keepdims=True)]


def joined(networks: Sequence[Onset]) -> Onset:
    """The network whose logit is the mean of these, which saw the same inputs."""
    return Onset(
        networks[0].mean,
        networks[0].scale,
        np.concatenate([network.hidden for network in networks], axis=1),
        np.concatenate([network.hidden_bias for network in networks]),
        np.concatenate([network.output for network in networks]) / len(networks),
        float(np.mean([network.output_bias for network in networks])),
    )


def scores(onset: Onset, features: Floats) -> Floats:
    """Of each row."""
    active = np.tanh((features - onset.mean) / onset.scale @ onset.hidden + onset.hidden_bias)
    result: Floats = 1 / (1 + np.exp(-(active @ onset.output + onset.output_bias)))
    return result


def _report(onset: Onset, recordings: Recordings) -> None:
    sets = {
        "backchannels": recordings.features(BACKCHANNELS, HELD_OUT, 4),
        "new backchannels": recordings.features(NEW_BACKCHANNELS, HELD_OUT, 4),
        "new interruptions": recordings.features(NEW_INTERRUPTIONS, HELD_OUT, 4),
        "interruptions that begin with a backchannel": recordings.features(AMBIGUOUS, HELD_OUT, 4),
    }
    thresholds = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    print(f"{'share at once taken for an interruption, by threshold':55}" + "".join(f"{t:7}" for t in thresholds))
    for name, features in sets.items():
        passed = scores(onset, features)
        print(f"{name:44}{len(features):8}   " + "".join(f"{np.mean(passed >= t):7.2f}" for t in thresholds))
    for name, phrases in (("backchannels", BACKCHANNELS), ("new interruptions", NEW_INTERRUPTIONS)):
        by_phrase = scores(onset, sets[name]).reshape(len(phrases), -1)
        wrong = {
            p: float(np.mean((row >= 0.5) != (name != "backchannels")))
            for p, row in zip(phrases, by_phrase, strict=True)
        }
        worst = sorted(wrong.items(), key=lambda item: -item[1])[:6]
        print(f"worst {name}: " + ", ".join(f"{phrase} {share:.0%}" for phrase, share in worst))


def main() -> None:
    """Train, report, and with --write replace the weights of the package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {WEIGHTS.name}")
    arguments = parser.parse_args()
    recordings, trained = Recordings(), []
    for recordings.seconds in LOOKS:
        onset = _trained(recordings)
        print(f"\n{recordings.seconds} s")
        _report(onset, recordings)
        trained.append(onset)
    if arguments.write:
        names = [field.name for field in fields(Onset)]
        values = [{name: np.round(getattr(onset, name), 4).tolist() for name in names} for onset in trained]
        WEIGHTS.write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"wrote {WEIGHTS} ({WEIGHTS.stat().st_size // 1024} kB)")


def _trained(recordings: Recordings) -> Onset:
    """For the look that the recordings are set to."""
    backchannels = recordings.features(BACKCHANNELS, TRAINING, 6)
    interruptions = recordings.features(INTERRUPTIONS, Variants(TRAINING.speeds, TRAINING.pitches, 10, 3), 4)
    inputs = np.concatenate([backchannels, interruptions])
    targets = np.concatenate([np.zeros(len(backchannels)), np.ones(len(interruptions))])
    return joined([train(inputs, targets, epochs=40, seed=seed) for seed in range(NETWORKS)])


if __name__ == "__main__":
    main()
