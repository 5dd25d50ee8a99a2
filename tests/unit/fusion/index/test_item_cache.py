"""The cache of items: bounded by bytes, the least lately used given up first, one life of the store at a time."""

from config.vocabulary import ItemId
from fusion.index.item_cache import Held, ItemCache
from tests.fusion_builders import item

LIFE, NEXT_LIFE = b"one", b"two"


def held(name: str, epoch: bytes = LIFE) -> Held:
    """An item as it was read."""
    return Held(item(name), b"1000:0", epoch)


def names(cache: ItemCache, *asked: str) -> list[str]:
    """Which of these it holds, looked at in order."""
    return [name for name in asked if cache.get(ItemId(name), LIFE)]


def test_it_never_holds_more_than_its_bound() -> None:
    """Bytes are counted for items and for what Python puts around them, and given back."""
    cache = ItemCache(100_000)
    for number in range(1000):
        cache.put(held(f"i{number % 37}"), 3000 + number)
        assert cache.held_bytes <= 100_000
    for number in range(37):
        cache.drop(ItemId(f"i{number}"))

    assert (len(cache), cache.held_bytes) == (0, 0)


def test_the_least_lately_used_goes_first() -> None:
    """Being asked for is being used."""
    cache = ItemCache(3 * 4500)
    for name in "abc":
        cache.put(held(name), 3000)
    cache.get(ItemId("a"), LIFE)
    cache.put(held("d"), 3000)

    assert names(cache, "a", "b", "c", "d") == ["a", "c", "d"]


def test_what_is_larger_than_the_bound_is_not_held() -> None:
    """Nor does it push anything out; an older version of it goes all the same."""
    cache = ItemCache(5000)
    cache.put(held("a"), 100)
    cache.put(held("b"), 100)
    cache.put(held("a"), 10_000)

    assert names(cache, "a", "b") == ["b"]


def test_another_life_of_the_store_has_nothing_to_do_with_this_one() -> None:
    """Versions repeat after a flush; what they name may not."""
    cache = ItemCache(100_000)
    cache.put(held("a"), 100)

    assert cache.get(ItemId("a"), NEXT_LIFE) is None
    assert cache.get(ItemId("a"), LIFE) is not None


def test_a_bound_of_nothing_holds_nothing() -> None:
    """The setting that switches it off."""
    cache = ItemCache(0)
    cache.put(held("a"), 0)

    assert len(cache) == 0
