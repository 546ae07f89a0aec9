"""A llama trained by PyTorch for a given time, for comparison:
bench_story.py DATA OUT LAYERS EMBD HEADS KV FF T ROWS RATE SECONDS THREADS

DATA is a folder of `wright pack`. Eager mode, scaled_dot_product_attention, torch.optim.AdamW as
nanoGPT sets it (betas 0.9 and 0.95, weight decay 0.1 of matrices alone, clipping at 1), initial
values as transformers has them, 2 % warm-up, then a cosine down to a tenth of a percent. Rate and
warm-up follow the clock, so that all of the time is used and the decay is whole. Writes OUT in the
layout of Hugging Face and prints JSON.
"""
import json, math, pathlib, resource, struct, sys, time
import numpy, torch
from transformers import LlamaConfig, LlamaForCausalLM

data, out = map(pathlib.Path, sys.argv[1:3])
layers, embd, heads, kv, ff, t, rows = map(int, sys.argv[3:10])
rate, seconds, threads = float(sys.argv[10]), float(sys.argv[11]), int(sys.argv[12])


def shard(path):
    """Ids of all documents, and the size of the vocabulary."""
    raw = path.read_bytes()
    width, vocab, _, n = struct.unpack_from("<IQQQ", raw, 12)
    return numpy.frombuffer(raw, {2: "<u2", 4: "<u4"}[width], n, 64).astype(numpy.int64), vocab


torch.set_num_threads(threads)
torch.manual_seed(1)
shards = [shard(path) for path in sorted(data.glob("train*.shard"))]
ids, vocab = torch.from_numpy(numpy.concatenate([s[0] for s in shards])), shards[0][1]
model = LlamaForCausalLM(LlamaConfig(
    hidden_size=embd, intermediate_size=ff, num_hidden_layers=layers, num_attention_heads=heads,
    num_key_value_heads=kv, vocab_size=vocab, max_position_embeddings=t, rms_norm_eps=1e-5,
    tie_word_embeddings=True, attn_implementation="sdpa", bos_token_id=None, eos_token_id=None))
matrices = [p for p in model.parameters() if p.dim() > 1]
vectors = [p for p in model.parameters() if p.dim() == 1]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
    lr=rate, betas=(0.9, 0.95))


def batches():
    """Rows of t tokens and the one that follows, in another order in each epoch."""
    starts = torch.arange(0, len(ids) - t - 1, t)
    while True:
        for some in starts[torch.randperm(len(starts))].split(rows):
            yield torch.stack([ids[s:s + t + 1] for s in some.tolist()])


step, loss, start = 0, float("nan"), time.perf_counter()
for batch in batches():
    part = (time.perf_counter() - start) / seconds
    if part >= 1.0:
        break
    scale = max(0.001, 0.5 * (1 + math.cos(math.pi * part)))
    for group in optimizer.param_groups:
        group["lr"] = rate * scale * min(1.0, part / 0.02 + 1e-3)
    logits = model(batch[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, vocab), batch[:, 1:].reshape(-1))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    step += 1
took = time.perf_counter() - start
model.save_pretrained(out)
print(json.dumps({
    "steps": step, "tokens": step * rows * t, "seconds": took, "loss": float(loss),
    "parameters": sum(p.numel() for p in model.parameters()),
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
