"""`python -m istiod_py check`: a linter for a folder of manifests. The codes are in docs/istiod-checks.md."""
