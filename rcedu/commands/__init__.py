"""The command line: `cli` finds the room of a command, which checks what it is given and calls the folders above.

A new command is a function in one of the rooms, and its line in `cli.GROUPS`. What changes its result goes into `command_line`
as well: that is how the result says where it comes from.
"""
