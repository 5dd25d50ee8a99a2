"""Small random checkpoints of the published model families, saved as their makers save them."""

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from encoders.device import prepare_torch

prepare_torch(threads=1)

import torch  # noqa: E402
import yaml  # noqa: E402
from transformers import (  # noqa: E402
    AlignConfig,
    AlignModel,
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    ChineseCLIPConfig,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPModel,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    EfficientNetImageProcessorPil,
    MetaClip2Config,
    MetaClip2Model,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from tests.tiny_tokenizers import (  # noqa: E402
    TOKENS,
    bert_tokenizer,
    clip_tokenizer,
    gemma_tokenizer,
    roberta_tokenizer,
    xlm_roberta_tokenizer,
)

DIMS = 24
HAS_TIMM = find_spec("timm") is not None
"""Whether the package is there that reads the pictures of PE-AV."""

_SMALL = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
_VISION = {**_SMALL, "image_size": 32, "patch_size": 8}
_SQUARE = {"height": 32, "width": 32}


def save_clip(folder: Path) -> Path:
    """Save a CLIP of two layers with a byte-level tokenizer that knows every byte and no merges."""
    torch.manual_seed(1)
    tokenizer = clip_tokenizer()
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": TOKENS, "projection_dim": DIMS}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(
        text_config={**_SMALL, **text, **ids, "pad_token_id": tokenizer.pad_token_id},
        vision_config={**_VISION, "projection_dim": DIMS},
        projection_dim=DIMS,
    )
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=_SQUARE)
    return _save(folder, CLIPModel(config), tokenizer, processor)


def save_siglip(folder: Path) -> Path:
    """Save a SigLIP 2 for one picture size: the classes of SigLIP with Gemma's kind of tokenizer."""
    torch.manual_seed(4)
    config = SiglipConfig(text_config=_siglip_text(), vision_config={**_VISION, "hidden_size": DIMS})
    return _save(folder, SiglipModel(config), gemma_tokenizer(), SiglipImageProcessorPil(size=_SQUARE))


def save_naflex(folder: Path) -> Path:
    """Save a SigLIP 2 for pictures of any shape, of sixteen patches at most."""
    torch.manual_seed(5)
    vision = {**_SMALL, "hidden_size": DIMS, "patch_size": 8, "num_patches": 16}
    config = Siglip2Config(text_config=_siglip_text(), vision_config=vision)
    return _save(
        folder, Siglip2Model(config), gemma_tokenizer(), Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    )


def save_clap(folder: Path, *, fused: bool = False, tokens: int = TOKENS) -> Path:
    """Save a CLAP whose audio tower has two tiny stages."""
    torch.manual_seed(2)
    audio = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "window_size": 4,
        "patch_size": 2,
        "patch_stride": [2, 2],
        "hidden_size": 32,
        "patch_embeds_hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "projection_dim": DIMS,
        "enable_fusion": fused,
    }
    tokenizer = roberta_tokenizer()
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": tokens + 2,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = ClapConfig(text_config={**text, "projection_dim": DIMS}, audio_config=audio, projection_dim=DIMS)
    extractor = ClapFeatureExtractor(
        feature_size=16, max_length_s=1, sampling_rate=48_000, truncation="fusion" if fused else "rand_trunc"
    )
    return _save(folder, ClapModel(config), tokenizer, extractor)


def save_chinese_clip(folder: Path) -> Path:
    """Save a Chinese-CLIP: a BERT beside a vision tower."""
    torch.manual_seed(6)
    tokenizer = bert_tokenizer()
    text = {**_SMALL, "vocab_size": len(tokenizer), "max_position_embeddings": TOKENS}
    config = ChineseCLIPConfig(text_config=text, vision_config=_VISION, projection_dim=DIMS)
    return _save(
        folder, ChineseCLIPModel(config), tokenizer, ChineseCLIPImageProcessorPil(size=_SQUARE, crop_size=_SQUARE)
    )


def save_metaclip_2(folder: Path) -> Path:
    """Save a MetaCLIP 2: CLIP's towers with a multilingual vocabulary."""
    torch.manual_seed(7)
    tokenizer = xlm_roberta_tokenizer()
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {**_SMALL, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": TOKENS, "projection_dim": DIMS}
    vision = {**_VISION, "projection_dim": DIMS}
    config = MetaClip2Config(text_config=text, vision_config=vision, projection_dim=DIMS)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=_SQUARE)
    return _save(folder, MetaClip2Model(config), tokenizer, processor)


def save_align(folder: Path) -> Path:
    """Save an ALIGN: a BERT beside an EfficientNet."""
    torch.manual_seed(8)
    tokenizer = bert_tokenizer()
    vision = {
        "image_size": 32,
        "width_coefficient": 1.0,
        "depth_coefficient": 0.1,
        "hidden_dim": DIMS,
        "kernel_sizes": [3],
        "in_channels": [32],
        "out_channels": [DIMS],
        "strides": [1],
        "num_block_repeats": [1],
        "expand_ratios": [1],
        "depthwise_padding": [],
    }
    text = {**_SMALL, "vocab_size": len(tokenizer), "max_position_embeddings": TOKENS}
    config = AlignConfig(text_config=text, vision_config=vision, projection_dim=DIMS)
    return _save(folder, AlignModel(config), tokenizer, EfficientNetImageProcessorPil(size=_SQUARE))


def save_sentence(folder: Path, *, pooling: str | None = "mean", limit: int = TOKENS) -> Path:
    """Save a BERT that embeds sentences, with the files of Sentence-Transformers unless ``pooling`` is None."""
    torch.manual_seed(9)
    tokenizer = bert_tokenizer()
    config = BertConfig(**{**_SMALL, "hidden_size": DIMS}, vocab_size=len(tokenizer), max_position_embeddings=64)
    _save(folder, BertModel(config, add_pooling_layer=False), tokenizer)
    if pooling is not None:
        parts = ["Transformer", "Pooling", "Normalize"]
        (folder / "1_Pooling").mkdir()
        _write(folder / "modules.json", [{"type": f"sentence_transformers.models.{part}"} for part in parts])
        _write(folder / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False})
        modes = {
            f"pooling_mode_{mode}": mode.startswith(pooling) for mode in ("cls_token", "mean_tokens", "max_tokens")
        }
        _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": DIMS, **modes})
    return folder


def save_language_model(folder: Path, family: str = "xlm-roberta") -> Path:
    """Save a language model of a family, with a multilingual vocabulary: such as multilingual E5."""
    torch.manual_seed(10)
    tokenizer = xlm_roberta_tokenizer()
    special = {name: getattr(tokenizer, name) for name in ("pad_token_id", "cls_token_id", "sep_token_id")}
    from_padding = family in ("camembert", "mpnet", "roberta", "xlm-roberta")
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": DIMS,
        "embedding_size": DIMS,
        "intermediate_size": 37,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TOKENS + (2 if from_padding else 0),
    }
    config = AutoConfig.for_model(family, **sizes, **special)
    return _save(folder, AutoModel.from_config(config), tokenizer)


def save_pe_av(folder: Path) -> Path:
    """Save a PE-AV whose towers have one layer each; its sounds have 800 samples a second. Needs timm."""
    from transformers import PeAudioFeatureExtractor, PeAudioVideoConfig, PeAudioVideoModel, PeVideoVideoProcessor

    torch.manual_seed(11)
    tokenizer = bert_tokenizer()
    small = {**_SMALL, "num_hidden_layers": 1, "head_dim": 8}
    codec = {"encoder_hidden_size": 4, "downsampling_ratios": [4, 8], "hidden_size": 16, "codebook_dim": 8}
    picture = {"embed_dim": 32, "depth": 1, "num_heads": 2, "img_size": 32}
    vision = {"architecture": "vit_pe_core_tiny_patch16_384", "num_classes": 16, "model_args": picture}
    special = {name: getattr(tokenizer, name) for name in ("pad_token_id", "cls_token_id", "sep_token_id")}
    config = PeAudioVideoConfig(
        text_config={
            **_SMALL,
            **special,
            "bos_token_id": tokenizer.cls_token_id,
            "eos_token_id": tokenizer.sep_token_id,
            "hidden_size": DIMS,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": TOKENS,
        },
        audio_video_config={
            **small,
            "audio_config": {**small, "dac_config": codec},
            "video_config": {**small, "vision_config": vision},
        },
    )
    extractor = PeAudioFeatureExtractor(sampling_rate=800, hop_length=32)
    frames = PeVideoVideoProcessor(
        size=_SQUARE, do_resize=True, do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_rescale=True
    )
    return _save(folder, PeAudioVideoModel(config), tokenizer, extractor, frames)


def write_profile(folder: Path, **changes: object) -> Path:
    """Write a profile of a tiny CLIP and CLAP that lie beside it as ``clip`` and ``clap``."""
    profile = {
        "name": "tiny",
        "version": "1",
        "kind": "transformers",
        "dims": DIMS,
        "modalities": {"text": {"model": "clip"}, "image": {"model": "clip"}, "audio": {"model": "clap"}},
        "heads": "heads",
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(profile | changes), encoding="utf-8")
    return path


CHECKPOINTS: Mapping[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "clip": (save_clip, ("text", "image")),
    "siglip": (save_siglip, ("text", "image")),
    "naflex": (save_naflex, ("text", "image")),
    "clap": (save_clap, ("text", "audio")),
    "chinese-clip": (save_chinese_clip, ("text", "image")),
    "metaclip-2": (save_metaclip_2, ("text", "image")),
    "align": (save_align, ("text", "image")),
    "sentence": (save_sentence, ("text",)),
    "xlm-roberta": (save_language_model, ("text",)),
    "pe-av": (save_pe_av, ("text", "image", "audio")),
}
"""Who saves which kind of checkpoint, and what it encodes by itself."""


def write_alone(folder: Path, name: str, **changes: object) -> Path:
    """Save a checkpoint of ``CHECKPOINTS`` and write a profile of it alone, without heads."""
    save, modalities = CHECKPOINTS[name]
    if not (folder / name).is_dir():
        save(folder / name)
    dims = DIMS * 3 if name == "pe-av" else DIMS
    named = {modality: {"model": name} for modality in modalities}
    return write_profile(folder, **{"modalities": named, "heads": None, "dims": dims} | changes)


def _save(folder: Path, *parts: Any) -> Path:
    for part in parts:
        if isinstance(part, torch.nn.Module):  # fresh weights are so small that every input looks alike
            for weights in part.parameters():
                weights.data.mul_(3 if weights.dim() > 1 else 1)
        part.save_pretrained(folder)
    return folder


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _siglip_text() -> dict[str, Any]:
    tokenizer = gemma_tokenizer()
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": TOKENS, "projection_size": DIMS}
    return {**_SMALL, **sizes, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1}
