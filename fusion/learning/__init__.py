"""Learning from behaviour: logs of interactions, what is trained on them, and how it is measured."""
