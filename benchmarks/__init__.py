"""How fast the whole path is, against its limit and against other loaders, on the same file in one run."""
