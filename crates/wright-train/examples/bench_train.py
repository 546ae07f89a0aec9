"""The same steps in PyTorch, for comparison:
bench_train.py LAYERS EMBD HEADS KV FF VOCAB T ROWS STEPS

Eager mode, scaled_dot_product_attention, torch.optim.AdamW; prints JSON as bench_train.rs does.
"""
import json, resource, sys, time
import torch
from transformers import LlamaConfig, LlamaForCausalLM

layers, embd, heads, kv, ff, vocab, t, rows, steps = map(int, sys.argv[1:10])
torch.set_num_threads(2)
torch.manual_seed(1)
model = LlamaForCausalLM(LlamaConfig(
    hidden_size=embd, intermediate_size=ff, num_hidden_layers=layers, num_attention_heads=heads,
    num_key_value_heads=kv, vocab_size=vocab, max_position_embeddings=t, rms_norm_eps=1e-5,
    tie_word_embeddings=True, attn_implementation="sdpa"))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
ids = torch.randint(0, vocab, (rows, t + 1))
seconds = []
for _ in range(steps + 1):
    start = time.perf_counter()
    logits = model(ids[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, vocab), ids[:, 1:].reshape(-1))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    seconds.append(time.perf_counter() - start)
median = sorted(seconds[1:])[steps // 2]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"tok_s": rows * t / median, "peak_bytes": peak,
                  "parameters": sum(p.numel() for p in model.parameters())}))
