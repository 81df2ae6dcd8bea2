"""Runs: what a training script records, and reads back. Standard library only: it works in any Python from 3.6 on.

A run is a folder of the workspace (``folder.py``), and the folder is the truth: whoever opens it, the script, the
notebook that submitted it or the process that drives it, sees and changes the same files (docs/adr/0007).
"""
