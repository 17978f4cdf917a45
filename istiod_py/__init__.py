"""A small control plane: Kubernetes manifests of a folder become a running mesh, for our proxies and the real ones."""
