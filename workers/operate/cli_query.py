"""``crosscurrent query``, ``recommend`` and ``similar``: ask over Kafka, and read the ranking."""

from typing import Annotated, Any

import typer

from config.vocabulary import (
    FusionStrategy,
    Modality,
    QueryKind,
    RankingMethod,
    RecommendSignal,
    ResultStatus,
    Similarity,
)
from workers.operate.cli_options import settings_of
from workers.operate.console import ExitCode, output
from workers.operate.ordering_options import BOOST_HELP, ordering

_DEFAULT_TIMEOUT_S = 30.0
_WEIGHTS = "A weight follows a caret: 'dog^-0.4' steers away."

_K = Annotated[int | None, typer.Option("--k", help="Hits wanted.")]
_Filter = Annotated[str, typer.Option("--filter", help="Over attributes: '.category == \"animals\" and .year > 2020'.")]
_In = Annotated[str, typer.Option("--in", help="Item modalities to look in, such as image,audio; all by default.")]
_Strategy = Annotated[FusionStrategy | None, typer.Option("--strategy", help="How modalities are fused.")]
_Similarity = Annotated[Similarity | None, typer.Option("--similarity", help="How vectors are compared.")]
_Explain = Annotated[bool, typer.Option("--explain", help="Say why each item was found.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the result event as JSON.")]
_Timeout = Annotated[float, typer.Option("--timeout", help="Longest wait for the result, in seconds.", min=0.1)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(query)
    app.command()(recommend)
    app.command()(similar)


def query(  # noqa: PLR0917 - options, which typer passes by name
    ctx: typer.Context,
    text: Annotated[list[str] | None, typer.Option(help=f"Words, in any language. {_WEIGHTS}")] = None,
    image: Annotated[list[str] | None, typer.Option(help="Picture: a file or an address.")] = None,
    audio: Annotated[list[str] | None, typer.Option(help="Sound or spoken word: a file or an address.")] = None,
    video: Annotated[list[str] | None, typer.Option(help="Clip: a file or an address.")] = None,
    near: Annotated[str, typer.Option(help="Prefer a place: LATITUDE,LONGITUDE or with ,SCALE_KM.")] = "",
    k: _K = None,
    filter_: _Filter = "",
    search_in: _In = "",
    strategy: _Strategy = None,
    similarity: _Similarity = None,
    offset: Annotated[int, typer.Option(help="Hits skipped: the next page begins at the last one's end.", min=0)] = 0,
    rank: Annotated[RankingMethod | None, typer.Option("--rank", help="How the list is made.")] = None,
    diversity: Annotated[float | None, typer.Option(help="Variety in mmr and beam, 0 to 1.", min=0, max=1)] = None,
    cover: Annotated[str, typer.Option(help="ATTRIBUTE or ATTRIBUTE:WEIGHT whose values the list should cover.")] = "",
    group_by: Annotated[str, typer.Option(help="ATTRIBUTE or ATTRIBUTE:MOST: at most so many hits a value.")] = "",
    collapse: Annotated[str, typer.Option(help="SIMILARITY or SIMILARITY:ATTRIBUTE of near-duplicates.")] = "",
    boost: Annotated[list[str] | None, typer.Option(help=BOOST_HELP)] = None,
    user: Annotated[str, typer.Option(help="Who asks.")] = "",
    personalise: Annotated[float, typer.Option(help="Pull of the user's own taste, 0 to 1.", min=0, max=1)] = 0.0,
    explain: _Explain = False,
    as_json: _Json = False,
    timeout_s: _Timeout = _DEFAULT_TIMEOUT_S,
) -> None:
    """Search by any mix of words, pictures, sounds and clips."""
    from workers.operate.query_parts import query_parts

    settings = settings_of(ctx)
    media = {Modality.IMAGE: image or [], Modality.AUDIO: audio or [], Modality.VIDEO: video or []}
    parts = query_parts(text or [], media, max_event_bytes=settings.kafka.max_event_bytes)
    if not parts:
        raise typer.BadParameter("say what to look for: --text, --image, --audio or --video")
    fields = _common(k, filter_, search_in, strategy, similarity) | {"parts": parts, "offset": offset}
    fields |= ordering(
        method=rank, diversity=diversity, cover=cover, group_by=group_by, collapse=collapse, boosts=boost or []
    )
    if near:
        fields["near"] = _near(near)
    if user:
        fields |= {"user_id": user, "personalise": personalise}
    elif personalise:
        raise typer.BadParameter("--personalise needs --user")
    ask(ctx, QueryKind.SEARCH, fields, explain=explain, as_json=as_json, timeout_s=timeout_s)


def recommend(  # noqa: PLR0917 - options, which typer passes by name
    ctx: typer.Context,
    user: Annotated[str, typer.Option(help="For whom.")],
    k: _K = None,
    filter_: _Filter = "",
    search_in: _In = "",
    share: Annotated[
        list[str] | None, typer.Option(help=f"NAME=SHARE of the score: {', '.join(RecommendSignal)}; repeat.")
    ] = None,
    explore: Annotated[float | None, typer.Option(help="Share of the places for something else.", min=0, max=1)] = None,
    again: Annotated[bool, typer.Option("--again", help="Also show what the user acted on already.")] = False,
    explain: _Explain = False,
    as_json: _Json = False,
    timeout_s: _Timeout = _DEFAULT_TIMEOUT_S,
) -> None:
    """Recommend items by what a user did; trends for a user who did nothing yet."""
    fields = _common(k, filter_, search_in, None, None) | {"user_id": user}
    chosen = {"shares": _shares(share or []) or None, "explore": explore, "allow_seen": again or None}
    if made := {name: value for name, value in chosen.items() if value is not None}:
        fields["recommend"] = made
    ask(ctx, QueryKind.RECOMMEND, fields, explain=explain, as_json=as_json, timeout_s=timeout_s)


def similar(  # noqa: PLR0917 - options, which typer passes by name
    ctx: typer.Context,
    item: Annotated[str, typer.Option(help="Identity of the item.")],
    k: _K = None,
    filter_: _Filter = "",
    search_in: _In = "",
    strategy: _Strategy = None,
    similarity: _Similarity = None,
    explain: _Explain = False,
    as_json: _Json = False,
    timeout_s: _Timeout = _DEFAULT_TIMEOUT_S,
) -> None:
    """Find the neighbours of an item."""
    fields = _common(k, filter_, search_in, strategy, similarity) | {"item_id": item}
    ask(ctx, QueryKind.SIMILAR, fields, explain=explain, as_json=as_json, timeout_s=timeout_s)


def _common(
    k: int | None,
    filter_: str,
    search_in: str,
    strategy: FusionStrategy | None,
    similarity: Similarity | None,
) -> dict[str, Any]:
    given = {
        "k": k,
        "filter": filter_ or None,
        "search_in": [name.strip() for name in search_in.split(",")] if search_in else None,
        "fusion": {"strategy": strategy.value} if strategy else None,
        "similarity": similarity.value if similarity else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _shares(written: list[str]) -> dict[str, float]:
    try:
        return {name: float(share) for name, _, share in (one.partition("=") for one in written)}
    except ValueError as exc:
        raise typer.BadParameter(f"--share is NAME=SHARE, such as short=0.5, not {', '.join(written)}") from exc


def _near(written: str) -> dict[str, float]:
    names = ("latitude", "longitude", "scale_km")
    try:
        numbers = [float(number) for number in written.split(",")]
        return dict(zip(names[: len(numbers)], numbers, strict=True))
    except ValueError as exc:
        raise typer.BadParameter(f"--near is LATITUDE,LONGITUDE or LATITUDE,LONGITUDE,SCALE_KM, not {written}") from exc


def ask(
    ctx: typer.Context, kind: QueryKind, fields: dict[str, Any], *, explain: bool, as_json: bool, timeout_s: float
) -> None:
    """Send the query, print its result; an error result ends the command with 1."""
    from workers.operate.client import Client
    from workers.operate.show import print_result

    # Shares of the modalities are part of the explanation, and the table shows them.
    question = {"kind": kind.value, "explain": explain or not as_json, **fields}
    with Client(settings_of(ctx)) as client:
        result = client.query(question, timeout_s=timeout_s)
    if as_json:
        typer.echo(result.model_dump_json(indent=2, exclude_none=True))
    else:
        print_result(output(), result, explain=explain)
    if result.status is ResultStatus.ERROR:
        raise typer.Exit(ExitCode.TROUBLE)
