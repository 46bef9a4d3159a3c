"""Notebooks executed and timed; assignments made, checked and graded. Imports nothing below models."""
