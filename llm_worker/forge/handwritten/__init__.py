"""Sixty dialogues written by hand, frozen: see docs/forge.md."""
