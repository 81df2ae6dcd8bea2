"""Classes for the ``azureml`` names where v1 differs from what Modelport's own users want: other defaults, mostly."""
