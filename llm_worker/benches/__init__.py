"""What `python -m llm_worker.bench` measures: this engine and, on the same weights, one that is not ours."""
