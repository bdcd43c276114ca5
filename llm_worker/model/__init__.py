"""The text decoder of the Mistral-Small-4 family: latent attention over a compressed cache, sparse experts with one
shared, positions by YaRN. One set of classes for every size."""
