"""Questions asked of a domain, each in a module of its own.

A new experiment is one `runner.Experiment`: its rows (title -> frozen dataclass), its `work(run, domain, job)`, which trains,
scores and returns records, its `identity(run, domain)`, the fingerprints of everything that decides the result, the columns of
its table, and the sizes of its runs by preset. `runner.run_experiment` works its `runs(seeds, preset)`; `recognition` is the
shortest example. Pictures are drawn by `Domain.sample` and judged by `Domain.scores`.

Runs are processes: a script that starts them needs `if __name__ == "__main__":`. Finished runs are read, even if the code has
changed since: to run one again, delete its folder.
"""
