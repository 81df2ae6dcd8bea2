"""What every target that starts a scoring server tells it."""
