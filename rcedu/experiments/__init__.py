"""Experiments: questions asked of a domain, one module each.

A new experiment is one `runner.Experiment`: its rows (title -> frozen dataclass), its `work(run, domain, job)`, which trains,
scores and returns records, its `identity(run, domain)`, the fingerprints of everything that decides the result, the columns of
its table, and the sizes of its runs by preset. `runner.run_experiment` runs its `runs(seeds, preset)`; `recognition` is the
shortest example. Pictures are drawn by `Domain.sample` and judged by `Domain.scores`.

Runs are processes: a script that starts them needs `if __name__ == "__main__":`. The results of finished runs are read back,
even if the code has changed since; to repeat a run, delete its folder.
"""
