"""Autoregressive flow-matching speech of the Voxtral family: a causal backbone at 12.5 frames a second, a flow-matching
head for the acoustic part of each frame, a neural codec (arXiv 2603.25551). One set of classes for every size."""
