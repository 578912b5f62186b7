"""What the tests of the whole project share."""

# These import Flower, which is not in the lock, and hold no examples that could be run.
collect_ignore = ["paper_code/distributed/flower.py", "tests/distributed/flower_grid.py"]
