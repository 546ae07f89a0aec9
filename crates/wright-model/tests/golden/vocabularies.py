"""Tokenizers of a few hundred tokens for the tiny models of make.py."""

import json

TEXT = [
    "Why are suspension bridges curved? Because a cable that carries a level road hangs so.",
    "The tower carries the cable, the cable carries the hangers, the hangers carry the road.",
    "fn main() { println!(\"hello, world\"); } // 0123456789",
    "Brücken, мосты, 橋, جسور: every language has a word for it.",
] * 4
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_bpe(folder, vocab_size):
    """A byte-level BPE tokenizer with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    assert tokenizer.get_vocab_size() == vocab_size
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def save_spm(folder, vocab_size):
    """A SentencePiece BPE tokenizer with byte fallback."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        character_coverage=0.98,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        minloglevel=2,
    )


def save_wordpiece(folder, vocab_size):
    """A WordPiece tokenizer as BERT has it."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        TEXT, vocab_size=vocab_size, min_frequency=1, show_progress=False
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    words = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words))
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    for kind in ("unk", "sep", "pad", "cls", "mask"):
        config[f"{kind}_token"] = f"[{kind.upper()}]"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
