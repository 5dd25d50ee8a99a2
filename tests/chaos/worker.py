"""A worker as ``crosscurrent worker`` runs it, with one weakness added: on SIGUSR1 its consumer goes quiet.

That is what consumers were seen to do by themselves: partitions that are assigned and never fetched again after a
rebalance (faust #596, #602). Nothing in the process raises or ends; only the watchdog can tell.
"""

import contextlib
import gc
import signal
from functools import cache
from typing import Any

from aiokafka.errors import KafkaError

from workers.operate.cli import main


@cache
def consumers() -> list[Any]:
    """The process's consumers, of which there is one once it joined its group; found once, for looking takes long."""
    from aiokafka import AIOKafkaConsumer

    return [one for one in gc.get_objects() if type(one) is AIOKafkaConsumer]


def go_quiet(*_: object) -> None:
    """Fetch nothing any more, of whatever is assigned now."""
    for consumer in consumers():
        with contextlib.suppress(KafkaError):  # in the middle of a rebalance: the next signal finds it done
            consumer.pause(*consumer.assignment())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, go_quiet)
    main()
