"""Questions asked of a domain, each in a room of its own.

A new experiment is its rows (title -> frozen dataclass), its `work(run, domain, job)`, which trains, scores and returns
records, its `identity(run, domain)`, the fingerprints of all that decides the result, and the columns of its table, in one
`runner.Experiment`. `runner.run_experiment` does the rest; the shortest one to follow is `recognition`.
"""
