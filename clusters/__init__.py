"""Services on a real Kubernetes: ``make test-clusters`` (docs/kubernetes.md)."""
