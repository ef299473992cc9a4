"""The commands of kact, one a module: each has a Click command called `command`."""
