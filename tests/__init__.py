"""The tests of this project; a test file per source file, at the same path."""
