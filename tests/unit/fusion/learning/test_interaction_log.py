"""Logs as public data sets have them: every common form is read, and what is none is named by its line."""

from pathlib import Path

import numpy as np
import pytest

from config.errors import Misconfigured
from fusion.learning.generated_log import GeneratedShape, generate_log
from fusion.learning.interaction_log import make_log, read_log, read_vectors, write_log, write_vectors

ROWS = [("7", "cat", 5.0, 1_700_000_100), ("8", "dog", 1.0, 1_700_000_050), ("7", "dog", 3.5, 1_700_000_200)]


@pytest.mark.parametrize(
    ("name", "delimiter", "header"),
    [
        ("plain.csv", ",", ""),
        ("ratings.csv", ",", "userId,movieId,rating,timestamp\n"),
        ("ratings.dat", "::", ""),
        ("u.data", "\t", ""),
        ("mixed.csv", ";", "user;item;rating;timestamp\n"),
    ],
)
def test_common_forms_are_read_in_the_order_of_time(tmp_path: Path, name: str, delimiter: str, header: str) -> None:
    """Whatever parts the columns, with a header or without."""
    file = tmp_path / name
    file.write_text(header + "".join(delimiter.join(map(str, row)) + "\n" for row in ROWS))

    log = read_log(file)

    assert [log.item_ids[item] for item in log.items] == ["dog", "cat", "dog"]
    assert [log.user_ids[user] for user in log.users] == ["8", "7", "7"]
    assert log.times_ms.tolist() == [1_700_000_050_000, 1_700_000_100_000, 1_700_000_200_000]
    assert log.ratings.tolist() == [1.0, 5.0, 3.5]


def test_more_columns_quotes_and_milliseconds_are_fine(tmp_path: Path) -> None:
    """As exports have them."""
    file = tmp_path / "log.csv"
    file.write_text('\ufeffu,"cat, grey",4,1700000000123,mobile\n', encoding="utf-8")

    log = read_log(file)

    assert log.item_ids == ["cat, grey"]
    assert log.times_ms.tolist() == [1_700_000_000_123]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no interaction"),
        ("a,b,4,1700000000\na,b,4\n", "log.csv:2"),
        ("a,b,4,1700000000\na,b,four,1700000000\n", "log.csv:2"),
    ],
)
def test_what_is_no_log_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    """A header alone is no log either."""
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(Misconfigured, match=said):
        read_log(tmp_path / "log.csv")


def test_likes_are_the_upper_ratings_or_all_where_none_differ() -> None:
    """Stretched to five stars by what the log holds."""
    rated = make_log("aaa", "xyz", [0.5, 4.0, 5.0], [1, 2, 3])
    assert rated.positives().tolist() == [False, True, True]
    unrated = make_log("aaa", "xyz", [1, 1, 1], [1, 2, 3])
    assert not unrated.is_rated
    assert unrated.positives().all()


def test_a_generated_log_is_the_same_from_the_same_seed_and_survives_the_file(tmp_path: Path) -> None:
    """Another seed makes another."""
    shape = GeneratedShape(users=40, items=60, themes=6, dims=8)
    log, vectors = generate_log(3, shape)
    again, _ = generate_log(3, shape)
    other, _ = generate_log(4, shape)

    write_log(log, tmp_path / "log.csv")
    write_vectors(vectors, tmp_path / "items.npz")
    read, rows = read_log(tmp_path / "log.csv"), read_vectors(tmp_path / "items.npz")

    assert log.items.tolist() == again.items.tolist()
    assert len(other) != len(log) or other.items.tolist() != log.items.tolist()
    assert [log.item_ids[item] for item in log.items] == [read.item_ids[item] for item in read.items]
    assert read.times_ms.tolist() == log.times_ms.tolist()
    np.testing.assert_allclose(rows["i00007"], vectors["i00007"], atol=1e-6)


def test_a_generated_log_has_what_it_promises() -> None:
    """A few items have much of the traffic, cold ones come late, and nobody acts on the same twice."""
    log, _ = generate_log(0, GeneratedShape(users=150, items=200, themes=10, dims=16, cold=0.2))
    counts = np.sort(np.bincount(log.items))[::-1]
    assert counts[:20].sum() > 1.5 * 20 / 200 * len(log)
    begin, end = log.times_ms[0], log.times_ms[-1]
    first = np.array([log.times_ms[log.items == item].min() for item in range(len(log.item_ids))])
    assert 0.1 < (first > begin + 0.6 * (end - begin)).mean() < 0.3
    assert len({*zip(log.users.tolist(), log.items.tolist(), strict=True)}) == len(log)


def test_vectors_of_another_kind_are_refused(tmp_path: Path) -> None:
    """With what is expected."""
    np.savez(tmp_path / "wrong.npz", rows=np.zeros(3))
    with pytest.raises(Misconfigured, match="'ids'"):
        read_vectors(tmp_path / "wrong.npz")
