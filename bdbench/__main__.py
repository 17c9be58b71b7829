"""``python -m bdbench``, the same as the command ``bdbench``."""

from bdbench.cli.main import run

if __name__ == "__main__":
    run()
