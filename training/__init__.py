"""What the training of both models needs."""
