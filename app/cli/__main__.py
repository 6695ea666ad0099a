"""`python -m app.cli`, where the script `spire` is not on the path."""

from app.cli import main

main()
