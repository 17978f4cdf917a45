"""What is observed while a request crosses the lab: packets, counters of rules, lines of logs; and what it proves."""
