"""What many images cost, from what a few cost."""
