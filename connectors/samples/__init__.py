"""The built-in samples, as files."""
