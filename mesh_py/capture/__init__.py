"""Capture without redirection rules: what clients say first of where they are going."""
