"""``python -m lookhear.cli``."""

from lookhear.cli import main

if __name__ == "__main__":
    main()
