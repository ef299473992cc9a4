"""The kinds of trouble, a module each: `run(count, seed, only)` tries that many cases of it,
of the commands or readers with `only` in their names, and says what came of them."""
