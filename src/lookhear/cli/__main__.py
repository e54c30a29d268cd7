"""``python -m lookhear.cli``."""

from lookhear.cli import main

main()
