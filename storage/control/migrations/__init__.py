"""Steps that bring the control database from one version's tables to the next's."""
