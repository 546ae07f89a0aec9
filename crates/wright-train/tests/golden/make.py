"""Writes losses.json: what PyTorch loses in 50 steps from the weights and batches of
tests/torch.rs.

    python crates/wright-train/tests/golden/make.py     # needs torch and transformers

Runs the example `export_golden` for the weights (Hugging Face layout) and the batches.
"""
import json, pathlib, subprocess, tempfile
import torch
from transformers import AutoModelForCausalLM

here = pathlib.Path(__file__).parent
torch.set_num_threads(1)
losses = {}
with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["cargo", "run", "-q", "-p", "wright-train", "--example", "export_golden", "--",
                    folder], check=True, cwd=here)
    batches = json.loads((pathlib.Path(folder) / "batches.json").read_text())
    for family in ["llama", "qwen3", "gemma3", "gpt2"]:
        model = AutoModelForCausalLM.from_pretrained(
            f"{folder}/{family}", dtype=torch.float32, attn_implementation="eager")
        model.train()
        matrices = [p for p in model.parameters() if p.dim() > 1]
        vectors = [p for p in model.parameters() if p.dim() == 1]
        optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            lr=3e-3, betas=(0.9, 0.95), eps=1e-8)
        losses[family] = []
        for rows in batches:
            ids = torch.tensor(rows)
            logits = model(ids[:, :-1], use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses[family].append(loss.item())
        print(family, losses[family][0], losses[family][-1])
rows = {family: json.dumps([round(x, 6) for x in all]) for family, all in losses.items()}
text = ",\n".join(f' "{family}": {row}' for family, row in rows.items())
(here / "losses.json").write_text("{\n" + text + "\n}\n")
