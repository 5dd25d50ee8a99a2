"""What can be chosen when alignment heads are trained; validated whole."""

from dataclasses import dataclass
from typing import Literal, get_args

from config.errors import Misconfigured
from config.vocabulary import Modality
from encoders.alignment.features import PairedFeatures

Method = Literal["linear", "adversarial", "network"]
Solver = Literal["least_squares", "procrustes", "cca", "trained"]
Loss = Literal["softmax", "sigmoid"]
CLOSED_FORMS = frozenset({"least_squares", "procrustes", "cca"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How heads are fitted.

    Attributes:
        head: ``linear`` (affine maps), ``adversarial`` (a generator a modality, against a discriminator) or ``network``
            (an affine map with a small network that corrects it).
        solver: Of ``linear``: a closed form, or ``trained`` by contrast.
        loss: Of ``network`` and ``linear`` trained: ``softmax`` or ``sigmoid``.
        hardness: How much more near negatives count; 0 is not at all, 5 is strong.
        binary: Train for sign codes.
        anchor: Modality whose space the others are carried into, where a method keeps one; None is the first of text,
            image, audio, location and sensor that the items have.
        dims: Length of the aligned vectors; None is the anchor's own length, or the shortest for ``cca``.
        hidden: Width of the networks.
        batch_size: Items in a step.
        steps: Steps at most.
        learning_rate: Highest rate, after ``warm_up_steps``; it falls to a fiftieth along a cosine.
        weight_decay: Of AdamW.
        warm_up_steps: Steps until the highest rate.
        noise: Deviation of the noise added to a vector while training, in parts of its norm.
        seed: Source of all chance.

    Raises:
        Misconfigured: With every problem found.
    """

    head: Method = "network"
    solver: Solver = "trained"
    loss: Loss = "softmax"
    hardness: float = 0.0
    binary: bool = False
    anchor: Modality | None = None
    dims: int | None = None
    hidden: int = 512
    batch_size: int = 256
    steps: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up_steps: int = 20
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name}: {getattr(self, name)!r} is not one of {', '.join(get_args(kind))}"
            for name, kind in (("head", Method), ("solver", Solver), ("loss", Loss))
            if getattr(self, name) not in get_args(kind)
        ]
        least = {"hidden": 1, "batch_size": 2, "steps": 1, "warm_up_steps": 0, "hardness": 0, "noise": 0, "seed": 0}
        problems += [f"{name}: must be at least {low}" for name, low in least.items() if getattr(self, name) < low]
        if self.learning_rate <= 0 or self.weight_decay < 0:
            problems.append("learning_rate must be above 0 and weight_decay not below")
        if self.dims is not None and self.dims < 2:
            problems.append("dims: must be at least 2")
        if self.head != "linear" and self.solver != "trained":
            problems.append(f"solver: {self.solver} belongs to head linear; leave it out for {self.head}")
        if not self.contrast and (self.binary or self.hardness or self.loss != "softmax"):
            problems.append("loss, hardness and binary belong to heads trained by contrast: network, or linear trained")
        if problems:
            raise Misconfigured(*problems)

    @property
    def closed(self) -> bool:
        """Whether it is solved in one step."""
        return self.head == "linear" and self.solver in CLOSED_FORMS

    @property
    def contrast(self) -> bool:
        """Whether it is trained by contrast, which alone can use second views."""
        return self.head == "network" or (self.head == "linear" and self.solver == "trained")

    def anchor_of(self, features: PairedFeatures) -> Modality:
        """Return the anchor.

        Raises:
            Misconfigured: The items lack it, or have fewer than two modalities.
        """
        if len(features.modalities) < 2 and not (features.views and self.contrast):
            raise Misconfigured(f"items have {', '.join(features.modalities) or 'nothing'} alone: alignment needs two")
        if self.anchor is not None and self.anchor not in features.modalities:
            raise Misconfigured(f"anchor: no item has {self.anchor}; choose among {', '.join(features.modalities)}")
        return self.anchor or features.modalities[0]

    def dims_of(self, features: PairedFeatures) -> int:
        """Return the length of the aligned vectors."""
        if self.dims is not None:
            return self.dims
        if self.head == "linear" and self.solver == "cca":
            return min(features.dims(each) for each in features.modalities)
        return features.dims(self.anchor_of(features))
