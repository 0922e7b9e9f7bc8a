"""What is measured, by question: accuracy, attacks, speed, scale. README.md names each command."""
