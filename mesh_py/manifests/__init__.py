"""Kubernetes manifests as typed objects, each with its place in a file [pure]."""
