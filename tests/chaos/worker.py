"""A worker as ``crosscurrent worker`` runs it, with one weakness added: on SIGUSR1 its consumer goes quiet.

That is what consumers were seen to do by themselves: partitions that are assigned and never fetched again after a
rebalance (faust #596, #602). Nothing in the process raises or ends; only the watchdog can tell.
"""

import gc
import signal

from workers.operate.cli import main


def go_quiet(*_: object) -> None:
    """Fetch nothing any more, of whatever is assigned now."""
    from aiokafka import AIOKafkaConsumer

    for consumer in [one for one in gc.get_objects() if isinstance(one, AIOKafkaConsumer)]:
        consumer.pause(*consumer.assignment())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, go_quiet)
    main()
