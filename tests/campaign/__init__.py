"""What rcedu promises, tried from outside: bad input, damaged files, kills, full disks, two at once, other surroundings.

    make campaign                                          # about an hour on two cores; goes on where it was stopped
    python -m tests.campaign --only kills                  # one kind
    python -m tests.campaign --only kills/draw/7           # one trial, alone; what it left behind is kept and named
    python -m tests.campaign --sample                      # a few of each kind: what `make test` does
    python -m tests.campaign --table                       # how far it is
    python -m tests.campaign --page                        # and write that into notebooks/promises.md

Rooms: `trials` runs trials, each in a process and a folder of its own; `journal` keeps what came of them; `started` starts
commands, `scenes` are those that are disturbed, `faults` disturb file operations. The kinds: `bad_input`; `reads`, with
`damage`; `kills`.
"""
