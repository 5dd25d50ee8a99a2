"""How good rankings are: judged queries, clicks, comparisons, and the built-in evaluation of fusion."""
