"""The optional compiled form of the hottest modules: which they are, and how it is made (docs/decisions/0023)."""
