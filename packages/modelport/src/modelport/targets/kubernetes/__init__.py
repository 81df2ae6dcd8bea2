"""Services in a Kubernetes cluster: ``plan`` says which objects they are, and touches no cluster."""
