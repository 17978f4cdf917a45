"""From manifests to what node proxies are told: workloads, services and policies [pure]."""
