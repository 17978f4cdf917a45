"""The post's numbered arrows: what each claims, and what must have been observed for it."""
