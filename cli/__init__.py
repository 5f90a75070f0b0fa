"""The command line: arguments in, a path or JSON out. No torch until a command runs."""
