"""Questions asked of a domain, each in a room of its own.

A new experiment is its rows (title -> frozen dataclass), its `work(run, domain, job)`, which trains, scores and returns
records, its `identity(run, domain)`, the fingerprints of all that decides the result, the columns of its table, and the sizes
of its runs by preset, in one `runner.Experiment`. `runner.run_experiment` works off its `runs(seeds, preset)`; the shortest
one to follow is `recognition`. Pictures are drawn by `Domain.sample` and judged by `Domain.scores`.

Its runs are processes of their own: a script that starts them needs `if __name__ == "__main__":`. What is finished is read,
also when the code has changed since: delete a run's folder to do it again.
"""
