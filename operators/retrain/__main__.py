"""`python -m retrain`: the command line, for an environment whose scripts are not on PATH."""

from retrain.cli import main

if __name__ == "__main__":
    main()
