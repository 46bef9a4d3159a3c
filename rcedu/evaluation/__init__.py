"""Scores, their intervals, and records: one score of one network, flat, from which every table and figure is made.

A new score is a function in `scores`, of features alone in `likeness` (of a network of its own: models/judges), called in
`Domain.scores`; what readers call it stands in `records.TITLES`.
"""
