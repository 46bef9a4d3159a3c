"""Scores with their intervals, records and tables of them."""
