"""What a training of fusion weights may be told."""

from dataclasses import dataclass

from config.errors import Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionOptions:
    """How fusion weights are trained.

    Args:
        name: What the weights are called.
        steps: Most steps.
        batch: Queries a step.
        candidates: Candidates a query and step, besides the relevant ones.
        learning_rate: After a short rise.
        weight_decay: Pull towards 0.
        hidden: Width of the network.
        every: Steps between two looks at the validation queries.
        patience: Looks without improvement until it stops.
        names_dropped: Share of steps that hide which modalities they see, so that the weights serve other models too.
        weakened: Share of those whose similarities are mixed with noise, as a weaker model would give them.
        modalities_dropped: At most this share of what items have is hidden at a step, never all of it.
        across: Weight of the loss that makes scores of different queries comparable.
        seed: Draws everything; the same seed gives the same weights on the same machine.

    Raises:
        Misconfigured: With every option that is out of its range.
    """

    name: str = "fusion"
    steps: int = 1500
    batch: int = 32
    candidates: int = 256
    learning_rate: float = 1e-2
    weight_decay: float = 1e-3
    hidden: int = 24
    every: int = 100
    patience: int = 6
    names_dropped: float = 0.25
    weakened: float = 0.5
    modalities_dropped: float = 0.2
    across: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what nothing can be learned with."""
        problems = [
            f"{name} must be at least 1, not {getattr(self, name)}"
            for name in ("steps", "batch", "candidates", "hidden", "every", "patience")
            if getattr(self, name) < 1
        ]
        problems += [
            f"{name} must be from 0 to 1, not {getattr(self, name)}"
            for name in ("names_dropped", "weakened", "modalities_dropped")
            if not 0 <= getattr(self, name) <= 1
        ]
        if not self.learning_rate > 0:
            problems.append(f"learning_rate must be above 0, not {self.learning_rate}")
        if problems:
            raise Misconfigured(*problems)
