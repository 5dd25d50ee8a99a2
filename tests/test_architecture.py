"""The house's walls: who may import whom, read from the source by AST."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "config": set[str](),
    "encoders": {"config"},
    "fusion": {"config"},
    "workers": {"config", "encoders", "fusion"},
}
"""What each room may import of ours, beside itself."""

ONLY_IN = {
    "torch": ("encoders", "fusion/learning"),
    "implicit": ("fusion/learning",),
    "scipy": ("fusion/learning",),
    "torchaudio": ("encoders",),
    "transformers": ("encoders",),
    "redis": ("fusion/index", "fusion/people"),
    "faust": ("workers/streams",),
    "aiokafka": ("workers",),
    "kafka": ("workers",),
    "prometheus_client": ("workers",),
}
"""Which folders may import an outside system."""


def modules(room: str) -> list[Path]:
    """List a room's Python files."""
    return sorted((ROOT / room).rglob("*.py"))


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the top-level name and line of every import in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide the arrows"
            assert node.module is not None
            yield node.module.split(".")[0], node.lineno


@pytest.mark.parametrize("room", ROOMS)
def test_imports_follow_the_arrows(room: str) -> None:
    """Workers import encoders, fusion and config; encoders and fusion import config; config imports nothing of ours."""
    allowed = ROOMS[room] | {room}
    ours = {*ROOMS, "tests", "benchmarks"}

    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(room)
        for name, line in imports_of(path)
        if name in ours and name not in allowed
    ]

    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("library", ONLY_IN)
def test_one_outside_system_lives_in_one_place(library: str) -> None:
    """A library of the outside is imported only by the folders that adapt it."""
    homes = tuple(ROOT / home for home in ONLY_IN[library])

    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {library}"
        for room in ROOMS
        for path in modules(room)
        for name, line in imports_of(path)
        if name == library and not any(path.is_relative_to(home) for home in homes)
    ]

    assert not broken, "\n".join(broken)


def test_serving_loads_no_torch_for_fusion() -> None:
    """In fusion torch trains and nothing else: only functions import it, and nothing outside learning does so.

    The sequence model's network and training are written in torch; workers import them when they train.
    """
    learning = ROOT / "fusion" / "learning"
    trained = {learning / "sequence_network.py", learning / "sequence_training.py"}
    at_the_top = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules("fusion")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom) and "torch" in ast.unparse(node) and path not in trained
    ]
    learners = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules("fusion")
        if not path.is_relative_to(learning)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fusion.learning")
    ]

    assert not at_the_top + learners


def test_every_package_is_shipped_and_tests_are_not() -> None:
    """pyproject.toml names exactly the packages that exist in the four rooms."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = set(tomllib.load(file)["tool"]["setuptools"]["packages"])

    present = {".".join(path.parent.relative_to(ROOT).parts) for room in ROOMS for path in modules(room)}

    assert listed == present


def test_no_file_outgrows_its_room() -> None:
    """A Python file of the shipped packages stays within 400 lines."""
    long = {
        str(path.relative_to(ROOT)): count
        for room in ROOMS
        for path in modules(room)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }

    assert not long
