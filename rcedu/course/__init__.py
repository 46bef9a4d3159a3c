"""Notebooks: execute and time them; assignments: build, check and grade them. Imports nothing below models."""
