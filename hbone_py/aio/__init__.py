"""The asyncio shell: the data path's only sockets."""
