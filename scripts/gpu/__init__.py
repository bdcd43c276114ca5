"""Jobs for a machine with a GPU. Each ends within its limit, goes on where it was broken off, and prints a table."""
