"""Forge: conversations, simulated callers and evaluation for a front desk model of your own."""
