"""The shell of every role's process: its sockets, limits, signals and event loop, and how it speaks to a person."""
