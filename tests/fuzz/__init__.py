"""`make fuzz` reads 120,000 damaged files; the tests here read 2,500."""
