"""The post's three paths on loopback: roles as processes, a request each, and what witnesses say of it."""
