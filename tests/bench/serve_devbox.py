"""A devbox for the benchmarks: prints its address, and serves until its input ends."""

import sys

from flyte_lite.devbox import Devbox


def main() -> None:
    with Devbox() as box:

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        print(box.endpoint, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
