"""How fast everything is, and how much memory it takes, beside what a user would pick instead."""
