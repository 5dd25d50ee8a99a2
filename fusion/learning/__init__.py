"""Learning from behaviour and judgements: logs, what is trained on them, how to fuse, and how it is measured."""
