"""What attackers get back from encrypted images, and which settings leave them least."""
