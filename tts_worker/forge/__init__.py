"""How a voice is trained: corpus, codec. Nothing that serves imports it."""
