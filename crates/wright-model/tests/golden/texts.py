#!/usr/bin/env python3
"""Makes the tiny models that embed and rank, and what transformers gives for whole texts.

For each: random weights, a tokenizer, a GGUF written by llama.cpp's own converter, and NAME.json
with texts, their ids in transformers' tokenizer, and vectors of length 1 or scores, computed in
float64.

    python texts.py --converter PATH/TO/llama.cpp [NAME ...]

needs what make.py needs.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers as t

import make
from families import ROPE, SMALL
from vocabularies import TEXT, TEMPLATE, save_wordpiece

HERE = pathlib.Path(__file__).resolve().parent
TEXTS = [
    "The cable", "carries the road", "Why are suspension bridges curved?",
    "A cable that carries a level road hangs so, and the tower carries the cable.",
]
QUERY = "Why are suspension bridges curved?"
BERT = dict(
    vocab_size=160, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=48, max_position_embeddings=64,
)
POOLINGS = {"mean": "mean_tokens", "first": "cls_token", "last": "lasttoken"}
# As the converter writes it into files.
RERANK = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    "the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n"
    "<|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that "
    "answer the query\n<Query>: {query}\n<Document>: {document}<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n"
)


def save_decoder(folder, vocab_size):
    """Byte-level BPE that knows yes and no, and ends each text as Qwen3-Embedding does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXT + ["yes", "no"] * 50, trainer)
    assert tokenizer.get_vocab_size() == vocab_size
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def save_unigram(folder, vocab_size):
    """XLM-RoBERTa's vocabulary: SentencePiece's, with other ids for the first few."""
    import sentencepiece
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    file = folder / "sentencepiece.bpe.model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_prefix=str(folder / "sp"), model_type="unigram",
        vocab_size=vocab_size - 2, normalization_rule_name="identity", minloglevel=2,
        hard_vocab_limit=False,
    )
    (folder / "sp.model").rename(file)
    sp = sentencepiece.SentencePieceProcessor(model_file=str(file))
    words = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words += [(sp.IdToPiece(i), sp.GetScore(i)) for i in range(3, sp.vocab_size())]
    words += [(f"<pad{i}>", -10000.0) for i in range(len(words), vocab_size - 1)]
    words += [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(words, unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
              "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def embed_mean():
    return t.BertModel(t.BertConfig(**BERT), add_pooling_layer=False), save_wordpiece, "mean"


def embed_first():
    return t.BertModel(t.BertConfig(**BERT), add_pooling_layer=False), save_wordpiece, "first"


def embed_nomic():
    config = t.NomicBertConfig(**BERT, **ROPE)
    return t.NomicBertModel(config, add_pooling_layer=False), save_wordpiece, "mean"


def embed_xlmr():
    config = t.XLMRobertaConfig(**BERT, pad_token_id=1, type_vocab_size=1)
    return t.XLMRobertaModel(config, add_pooling_layer=False), save_unigram, "first"


def embed_last():
    """As Qwen3-Embedding: the last token's vector, which is that of a token that ends the text."""
    config = t.Qwen3Config(**SMALL, **ROPE, head_dim=8, tie_word_embeddings=True)
    return t.Qwen3ForCausalLM(config), save_decoder, "last"


def rank_bert():
    """As the cross-encoders of MS MARCO; the second text's tokens are of the second type."""
    config = t.BertConfig(**BERT, num_labels=1)
    return t.BertForSequenceClassification(config), save_wordpiece, "rank"


def rank_xlmr():
    """As bge-reranker."""
    bert = BERT | {"max_position_embeddings": 130}
    config = t.XLMRobertaConfig(**bert, pad_token_id=1, type_vocab_size=1, num_labels=1)
    return t.XLMRobertaForSequenceClassification(config), save_unigram, "rank"


def rank_qwen3():
    """As Qwen3-Reranker: how likely yes is, where no is the other answer."""
    small = SMALL | {"max_position_embeddings": 512}
    config = t.Qwen3Config(**small, **ROPE, head_dim=8, tie_word_embeddings=False)
    return t.Qwen3ForCausalLM(config), save_decoder, "rank"


MODELS = {maker.__name__: maker for maker in [
    embed_mean, embed_first, embed_nomic, embed_xlmr, embed_last, rank_bert, rank_xlmr, rank_qwen3,
]}
EXTRA = {
    "embed_nomic": make.families.EXTRA["nomicbert"],
    # The converter leaves out the pooler, without which these scores are not the model's.
    "rank_bert": """
from conversion.bert import BertModel
plain = BertModel.filter_tensors.__func__
def with_pooler(cls, item):
    name, values = item
    return plain(cls, (name.replace('bert.pooler.dense', 'classifier.dense'), values))
BertModel.filter_tensors = classmethod(with_pooler)
""",
}


def write_sources(folder, model, save_tokenizer, kind):
    """The folder as it would be on a hub."""
    model.save_pretrained(folder)
    save_tokenizer(folder, model.config.vocab_size)
    if kind in POOLINGS:
        (folder / "1_Pooling").mkdir()
        modules = [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
        (folder / "modules.json").write_text(json.dumps(modules))
        modes = {f"pooling_mode_{name}": kind == key for key, name in POOLINGS.items()}
        (folder / "1_Pooling/config.json").write_text(json.dumps(modes))
    elif "Qwen3" in type(model).__name__:
        (folder / "README.md").write_text("# Qwen3-Reranker\n")


def vector(model, tokenizer, text, kind):
    given = tokenizer(text, return_tensors="pt")
    base = getattr(model, "model", model)
    rows = base(**given).last_hidden_state[0]
    assert rows.dtype == torch.float64
    pooled = {"mean": rows.mean(0), "first": rows[0], "last": rows[-1]}[kind]
    return given["input_ids"][0].tolist(), (pooled / pooled.norm()).tolist()


def score(model, tokenizer, document):
    """Of a cross-encoder its one number; of a decoder the share of yes."""
    if hasattr(model, "lm_head"):
        prompt = RERANK.replace("{query}", QUERY).replace("{document}", document)
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        answers = tokenizer.convert_tokens_to_ids(["yes", "no"])
        logits = model(ids).logits[0, -1, answers]
        return ids[0].tolist(), logits.softmax(0)[0].item()
    given = tokenizer(QUERY, document, return_tensors="pt")
    if "token_type_ids" not in given and model.config.type_vocab_size > 1:
        sys.exit("the tokenizer tells no types")
    if model.config.type_vocab_size == 1:
        given.pop("token_type_ids", None)
    logits = model(**given).logits
    assert logits.dtype == torch.float64 and logits.shape == (1, 1)
    return given["input_ids"][0].tolist(), logits.item()


def make_one(name, source):
    torch.manual_seed(sum(name.encode()))
    model, save_tokenizer, kind = MODELS[name]()
    make.randomise(model, "f16")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_sources(folder, model, save_tokenizer, kind)
        make.convert(source, folder, HERE / f"{name}.gguf", "f16", EXTRA.get(name, ""))
        tokenizer = t.AutoTokenizer.from_pretrained(folder)
    make.in_float64(model.eval())
    golden = {"query": QUERY if kind == "rank" else None, "texts": []}
    with torch.no_grad():
        for text in TEXTS:
            key, (ids, value) = ("score", score(model, tokenizer, text)) if kind == "rank" else (
                "vector", vector(model, tokenizer, text, kind))
            golden["texts"].append({"text": text, "ids": ids, key: value})
    lines = ",\n".join(json.dumps(one) for one in golden["texts"])
    query = json.dumps(golden["query"])
    (HERE / f"{name}.json").write_text(f'{{"query": {query}, "texts": [\n{lines}\n]}}\n')
    print(name, (HERE / f"{name}.gguf").stat().st_size, lines[:160], flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--converter", required=True, help="folder of llama.cpp's source")
    parser.add_argument("names", nargs="*", help="models to make; all if none is named")
    arguments = parser.parse_args()
    if len(arguments.names) == 1:
        make_one(arguments.names[0], pathlib.Path(arguments.converter).resolve())
        return
    for name in arguments.names or MODELS:
        command = [sys.executable, __file__, "--converter", arguments.converter, name]
        if subprocess.run(command).returncode != 0:
            sys.exit(f"failed: {name}")


if __name__ == "__main__":
    main()
