"""What the benchmarks share: timing, results, tables and their pages, figures, photographs, trainings."""
