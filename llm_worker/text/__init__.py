"""Text to token ids and back: vocabularies, the chat format, reading what a model says, grammars. No torch."""
