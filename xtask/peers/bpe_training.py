"""Trains byte-level BPE with Hugging Face's tokenizers, and encodes the same text, timing both.

Usage: bpe_training.py CORPUS SKELETON VOCAB MIN_FREQUENCY OUT

CORPUS has a text in JSON on each line; SKELETON is a tokenizer.json with the pre-tokenizer to use.
The number of threads is that of RAYON_NUM_THREADS. Prints one JSON object.
"""

import json
import sys
import time

from tokenizers import Tokenizer, pre_tokenizers, trainers

corpus, skeleton, vocab, min_frequency, out = sys.argv[1:]
with open(corpus, encoding="utf-8") as lines:
    texts = [json.loads(line) for line in lines]
tokenizer = Tokenizer.from_file(skeleton)
trainer = trainers.BpeTrainer(
    vocab_size=int(vocab),
    min_frequency=int(min_frequency),
    special_tokens=["<|endoftext|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
start = time.perf_counter()
tokenizer.train_from_iterator(texts, trainer)
train_s = time.perf_counter() - start
tokenizer.save(out)
# Text is only text, on both sides.
tokenizer.encode_special_tokens = True
start = time.perf_counter()
encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
encode_s = time.perf_counter() - start
n_ids = sum(len(each.ids) for each in encoded)
print(json.dumps({"train_s": train_s, "encode_s": encode_s, "n_ids": n_ids}))
