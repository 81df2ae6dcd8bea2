"""Datastores and data sets (azureml-v1 reference, 2.12). Standard library only: they are read in scripts of any Python
from 3.6 on; a data frame is made with the pandas of the script's own environment."""
