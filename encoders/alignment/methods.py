"""Every way to fit alignment heads behind one interface: take steps, look at the heads, stop when they are good."""

from typing import Any, Protocol

from config.vocabulary import Modality
from encoders.alignment.adversarial import AdversarialFitter
from encoders.alignment.closed_form import solve
from encoders.alignment.features import PairedFeatures
from encoders.alignment.heads import Head
from encoders.alignment.network import ContrastiveFitter
from encoders.alignment.options import FitOptions


class Fitter(Protocol):
    """A method at work.

    Attributes:
        total_steps: Steps until it is done; 1 for a closed form.
        steps_done: Steps taken.
    """

    total_steps: int
    steps_done: int

    def step(self) -> dict[str, float]:
        """Take one step, whose chance depends on the seed and its number alone, and return what to log."""
        ...

    def heads(self) -> dict[Modality, Head]:
        """Return copies of the heads as they are now, in evaluation mode."""
        ...

    def state(self) -> dict[str, Any]:
        """Return tensors and numbers from which ``restore`` goes on exactly."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same options and data."""
        ...


class ClosedFormFitter:
    """One step that solves everything."""

    def __init__(self, options: FitOptions, train: PairedFeatures) -> None:
        self.total_steps = 1
        self.steps_done = 0
        self._heads = solve(train, options.anchor_of(train), options.dims_of(train), options.solver)

    def step(self) -> dict[str, float]:
        """Nothing is left to do."""
        self.steps_done = 1
        return {}

    def heads(self) -> dict[Modality, Head]:
        """Return the solution."""
        return dict(self._heads)

    def state(self) -> dict[str, Any]:
        """Return the number of steps: the solution is computed again."""
        return {"steps_done": self.steps_done}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the number of steps."""
        self.steps_done = int(state["steps_done"])


def make_fitter(options: FitOptions, train: PairedFeatures) -> Fitter:
    """Return the method that the options name, ready for its first step.

    Raises:
        Misconfigured: The pairs are too few, or do not fit the options.
    """
    if options.closed:
        return ClosedFormFitter(options, train)
    if options.head == "adversarial":
        return AdversarialFitter(options, train)
    return ContrastiveFitter(options, train)
