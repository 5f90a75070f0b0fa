"""Commands of `landscape`, each in its own file."""
