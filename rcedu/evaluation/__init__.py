"""Scores, their intervals, and records: one score of one network, flat, from which every table and figure is made.

A new score is a function in `scores`, or in `likeness` if it needs only features (a new judge goes to models/judges). Call it
in `Domain.scores`, and give it a title in `records.TITLES`.
"""
