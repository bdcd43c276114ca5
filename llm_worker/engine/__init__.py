"""An engine that keeps conversations in its cache: paged latents, shared prefixes, one batch for all of them."""
