"""Who a workload is, and the certificates that prove it."""
