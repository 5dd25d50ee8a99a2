"""``crosscurrent summarize``: the passages, frames and sounds that cover items best."""

from typing import Annotated, Any

import typer

from config.vocabulary import Modality, QueryKind
from workers.operate.cli_options import settings_of
from workers.operate.cli_query import ask

_DEFAULT_TIMEOUT_S = 30.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(summarize)


def summarize(  # noqa: PLR0917 - options, which typer passes by name
    ctx: typer.Context,
    item: Annotated[list[str] | None, typer.Option(help="Identity of an item; several are one summary.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="Words: what to find, or what it should be about.")] = None,
    image: Annotated[list[str] | None, typer.Option(help="The same by a picture: a file or an address.")] = None,
    audio: Annotated[list[str] | None, typer.Option(help="The same by a sound: a file or an address.")] = None,
    video: Annotated[list[str] | None, typer.Option(help="The same by a clip: a file or an address.")] = None,
    k: Annotated[int | None, typer.Option("--k", help="Items found and summarised.")] = None,
    filter_: Annotated[str, typer.Option("--filter", help="Over attributes of what is found.")] = "",
    passages: Annotated[int | None, typer.Option(help="Most passages of text.")] = None,
    frames: Annotated[int | None, typer.Option(help="Most pictures and frames of clips.")] = None,
    sounds: Annotated[int | None, typer.Option(help="Most stretches of sound.")] = None,
    relevance: Annotated[float | None, typer.Option(help="Share of what it is about, 0 to 1.")] = None,
    diversity: Annotated[float | None, typer.Option(help="Share of variety, 0 to 1.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result event as JSON.")] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Longest wait for the result, in seconds.", min=0.1)
    ] = _DEFAULT_TIMEOUT_S,
) -> None:
    """Summarise items, or what words, pictures, sounds and clips find."""
    from workers.operate.query_parts import query_parts

    media = {Modality.IMAGE: image or [], Modality.AUDIO: audio or [], Modality.VIDEO: video or []}
    parts = query_parts(text or [], media, max_event_bytes=settings_of(ctx).kafka.max_event_bytes)
    if not item and not parts:
        raise typer.BadParameter("say what to summarise: --item, --text, --image, --audio or --video")
    options = {
        "passages": passages,
        "frames": frames,
        "sounds": sounds,
        "relevance": relevance,
        "diversity": diversity,
    }
    fields: dict[str, Any] = {
        "item_ids": item,
        "parts": parts,
        "k": k,
        "filter": filter_,
        "summary": {name: value for name, value in options.items() if value is not None},
    }
    given = {name: value for name, value in fields.items() if value}
    ask(ctx, QueryKind.SUMMARIZE, given, explain=False, as_json=as_json, timeout_s=timeout_s)
