"""Applications that stand behind the proxies, each a process: ``python -m lab_py.apps.httpbin``."""
