"""Where data comes from: one file per source kind, each describing itself."""
