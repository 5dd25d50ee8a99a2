"""Small random checkpoints of the published model families, saved as their makers save them."""

from pathlib import Path

from encoders.device import prepare_torch

prepare_torch(threads=1)

import torch  # noqa: E402
import yaml  # noqa: E402
from tokenizers import pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTokenizer,
)

DIMS = 24
TOKENS = 16


def save_clip(folder: Path) -> Path:
    """Save a CLIP of two layers with a byte-level tokenizer that knows every byte and no merges."""
    torch.manual_seed(1)
    tokenizer = _byte_tokenizer()
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": TOKENS, "projection_dim": DIMS}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    small = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = {"image_size": 32, "patch_size": 8, "projection_dim": DIMS}
    config = CLIPConfig(
        text_config={**small, **text, **ids, "pad_token_id": tokenizer.pad_token_id},
        vision_config={**small, **vision},
        projection_dim=DIMS,
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": 32}
    CLIPImageProcessorPil(size=size, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def save_clap(folder: Path, *, fused: bool = False) -> Path:
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
    text = {
        "vocab_size": 99,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    config = ClapConfig(text_config={**text, "projection_dim": DIMS}, audio_config=audio, projection_dim=DIMS)
    ClapModel(config).save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=16, max_length_s=1, sampling_rate=48_000, truncation="fusion" if fused else "rand_trunc"
    ).save_pretrained(folder)
    return folder


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


def _byte_tokenizer() -> CLIPTokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TOKENS)
