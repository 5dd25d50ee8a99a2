"""``python -m workers.operate``: the same as the ``crosscurrent`` command."""

from workers.operate.cli import main

if __name__ == "__main__":
    main()
