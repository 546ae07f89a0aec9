"""Bits per byte of held-out documents, by transformers: bench_story_score.py DATA MODEL...

Each MODEL is a folder in the layout of Hugging Face. All documents of DATA/validation.shard are
scored, each by itself, in windows of the model's context that begin every half of it: a token is
counted once, in the first window that has it, so that from the second window on each has half a
context before it. A byte of text counts; the token that ends a document has none, but its bits
count. Prints one JSON object for each model.
"""
import json, math, pathlib, struct, sys
import numpy, torch
from transformers import AutoModelForCausalLM

data = pathlib.Path(sys.argv[1])
raw = (data / "validation.shard").read_bytes()
width, vocab, n_docs, n = struct.unpack_from("<IQQQ", raw, 12)
ids = numpy.frombuffer(raw, {2: "<u2", 4: "<u4"}[width], n, 64).astype(numpy.int64)
index = 64 + (n * width + 7) // 8 * 8
ends = numpy.frombuffer(raw, "<u8", n_docs, index).astype(int).tolist()
documents = [torch.from_numpy(ids[a:b]) for a, b in zip([0] + ends[:-1], ends)]

tokenizer = json.loads((data / "tokenizer.json").read_text(encoding="utf-8"))
lengths = numpy.zeros(vocab, dtype=numpy.int64)
for text, token in tokenizer["model"]["vocab"].items():
    lengths[token] = len(text)  # byte-level: a character is a byte
for added in tokenizer["added_tokens"]:
    lengths[added["id"]] = 0 if added["special"] else len(added["content"].encode())
n_bytes = int(sum(lengths[d[1:].numpy()].sum() for d in documents))

for name in sys.argv[2:]:
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32).eval()
    context = model.config.max_position_embeddings
    nats, n_tokens = 0.0, 0
    with torch.no_grad():
        for document in documents:
            done = 1  # the first token is not foretold
            for start in range(0, max(len(document) - 1, 0), context // 2):
                window = document[start:start + context]
                fresh = start + len(window) - done
                if fresh <= 0:
                    break
                logits = model(window[None, :-1]).logits[0, -fresh:]
                nats += float(torch.nn.functional.cross_entropy(
                    logits.double(), window[-fresh:], reduction="sum"))
                n_tokens += fresh
                done += fresh
    print(json.dumps({"model": name, "bits_per_byte": nats / math.log(2) / n_bytes,
                      "tokens": n_tokens, "bytes": n_bytes,
                      "parameters": sum(p.numel() for p in model.parameters())}), flush=True)
