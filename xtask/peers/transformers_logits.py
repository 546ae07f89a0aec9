"""Logits of a Hugging Face folder, loaded as any user would.

    transformers_logits.py FOLDER < {"text": ..., "ids": [...]}     > little-endian f32 (T, V)

Fails if the folder's tokenizer does not read the text to these ids, or a weight is missing.
"""
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

asked = json.load(sys.stdin)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer(asked["text"], add_special_tokens=False)["input_ids"]
assert ids == asked["ids"], f"the tokenizer says {ids[:8]}..., not {asked['ids'][:8]}..."
assert tokenizer.decode(ids) == asked["text"], "the tokenizer does not decode what it encoded"
torch.set_num_threads(1)
model, loaded = AutoModelForCausalLM.from_pretrained(
    sys.argv[1], dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
wrong = {kind: list(names) for kind, names in loaded.items() if names}
assert not wrong, f"loading was not clean: {wrong}"
with torch.no_grad():
    logits = model.eval()(torch.tensor([ids]), use_cache=False).logits[0]
sys.stdout.buffer.write(logits.float().numpy().astype("<f4").tobytes())
