"""What several test files use: playbooks, peers, worlds, and the rules about what may be missing."""
