"""How plain pictures lie: trees of files, layouts, splits that are read part by part, and an account."""
