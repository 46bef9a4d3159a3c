"""The command line: `cli` finds the room of a command, which checks what it is given and calls the folders above."""
