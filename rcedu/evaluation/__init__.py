"""Scores, their intervals, and records: one score of one network, flat, from which every table and figure is made."""
