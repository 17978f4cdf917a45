"""Plain values of the mesh: addresses, workloads, services, policies, routes [pure]."""
