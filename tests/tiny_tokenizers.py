"""Small vocabularies of the kinds that published models have: letters or bytes, special tokens, hardly any merges."""

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertTokenizer, CLIPTokenizer, PreTrainedTokenizerFast, RobertaTokenizer

TOKENS = 16
"""Length of a passage in the models that they belong to."""


def clip_tokenizer() -> CLIPTokenizer:
    """Bytes at the end of a word and elsewhere, framed by a start and an end."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return CLIPTokenizer(vocab=_numbered(words), merges=[], model_max_length=TOKENS)


def roberta_tokenizer() -> RobertaTokenizer:
    """Bytes; positions are numbered after the padding token."""
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return RobertaTokenizer(vocab=_numbered(words), merges=[], model_max_length=512)


def bert_tokenizer() -> BertTokenizer:
    """Word pieces of one letter."""
    letters = [chr(code) for code in range(33, 127)] + list("猫犬🐱")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    return BertTokenizer(vocab=_numbered(words), model_max_length=512)


def xlm_roberta_tokenizer() -> PreTrainedTokenizerFast:
    """A Unigram vocabulary of letters, as the file of a multilingual checkpoint holds it."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = [*map(chr, range(33, 127)), "▁", *(f"▁{chr(code)}" for code in range(97, 123)), *"猫犬🐱"]
    backend = Tokenizer(models.Unigram([(word, -2.0) for word in [*specials, *letters]], unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token", "cls_token", "sep_token")
    roles = dict(zip(names, [*specials, "<s>", "</s>"], strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


def gemma_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-fallback BPE with padding to full length written into its file, as SigLIP 2 has it; it knows capitals."""
    names = ("pad_token", "eos_token", "bos_token", "unk_token", "mask_token")
    roles = dict(zip(names, ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"], strict=True))
    words = [*roles.values(), *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
    unknown = {"unk_token": roles["unk_token"]}
    backend = Tokenizer(models.BPE(vocab=_numbered(words), merges=[], byte_fallback=True, **unknown))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    backend.enable_padding(length=TOKENS, pad_id=0, pad_token=roles["pad_token"])
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


def _numbered(words: list[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words)}
