"""What every role does with its settings: one table each, read from flags, environment and files, and shown to people.

`setting` describes a table, `kinds` reads texts, `source` says who wins, `file` reads YAML; `options`, `command`,
`show` and `page` are the command line and the documentation made from the table.
"""
