"""What models learn from encrypted images: one script for each data set."""
