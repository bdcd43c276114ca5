"""Prometheus numbers of the language model worker."""

from prometheus_client import Gauge, Histogram

FIRST_TOKEN = Histogram(
    "trunkline_llm_first_token_seconds",
    "From `generate` to the first piece of the answer, text or tool call.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10),
)
TOKEN = Histogram(
    "trunkline_llm_token_seconds",
    "Between one piece of an answer and the next.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
CACHE_TOKENS = Gauge("trunkline_llm_cache_tokens", "Tokens in this worker's cache; 0 for backends without one.")
QUEUE = Gauge("trunkline_llm_queue", "Answers that were asked for and have not begun.")
CONVERSATIONS = Gauge("trunkline_llm_conversations", "Conversations that are open.")
