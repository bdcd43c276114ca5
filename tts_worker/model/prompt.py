"""What stands before the frames: the voice, then the text. PURE."""

from tts_worker.model.tokenizer import AUDIO, BEGIN_AUDIO, BOS, NEXT, REPEAT, Tokenizer


def voice_ids(tokenizer: Tokenizer, frames: int) -> list[int]:
    """The part that all texts of a voice share: BOS, begin-audio, a place for each row of the voice, next-text."""
    special = tokenizer.special
    return [special(BOS), special(BEGIN_AUDIO), *[special(AUDIO)] * frames, special(NEXT)]


def text_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The part that follows: the text, repeat-text, begin-audio. The frames come right after it."""
    return [*tokenizer.encode(text), tokenizer.special(REPEAT), tokenizer.special(BEGIN_AUDIO)]
