"""Write bodyfat_moments.json of paper_code/companion: python scripts/bodyfat_moments.py

Ridge regression sees the data only through these numbers, so that the experiment runs, and runs
exactly, on a machine that cannot fetch the data set.
"""

import json

from paper_code.companion.data_sets import MOMENTS_FILE, Moments, load
from paper_code.companion.download import BODYFAT
from paper_code.companion.files import atomic_write


def main() -> None:
    moments = Moments.of(load("bodyfat"))
    record = {
        "about": "Body-Fat (StatLib): moments of its 14 features A and the density b, computed by "
        "scripts/bodyfat_moments.py; features in the order of the CSV's columns 2 to 15",
        "content_digest_of_the_data": BODYFAT.digest,
        "n": moments.n,
        "target_power": moments.target_power,
        "moment": moments.moment.tolist(),
        "gram": moments.gram.tolist(),
    }
    atomic_write(MOMENTS_FILE, json.dumps(record, indent=1) + "\n")
    print(f"wrote {MOMENTS_FILE}")


if __name__ == "__main__":
    main()
