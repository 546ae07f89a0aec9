"""More families for make.py: each function returns a tiny model, its vocabulary and its type."""

import transformers as t

from vocabularies import save_bpe, save_spm, save_wordpiece

SMALL = dict(
    vocab_size=288, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
# What is added to the converter's program, and to the model's arguments.
EXTRA = {}
ARGUMENTS = {}


def rope(kind, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **more}}


def llama_yarn():
    """RoPE stretched by YaRN."""
    yarn = rope("yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=8.0)
    return t.LlamaForCausalLM(t.LlamaConfig(**SMALL, **yarn)), save_bpe, "f16"


def llama_dynamic():
    """RoPE whose base grows with the context (NTK)."""
    small = SMALL | {"max_position_embeddings": 32}
    config = t.LlamaConfig(**small, **rope("dynamic", factor=4.0))
    return t.LlamaForCausalLM(config), save_bpe, "f16"


EXTRA["llama_dynamic"] = """
from conversion.llama import LlamaModel
plain = LlamaModel.set_gguf_parameters
def with_scaling(self):
    plain(self)
    self.gguf_writer.add_string('llama.rope.scaling.type', 'dynamic')
    self.gguf_writer.add_rope_scaling_factor(4.0)
    self.gguf_writer.add_rope_scaling_orig_ctx_len(32)
LlamaModel.set_gguf_parameters = with_scaling
"""


def mistral():
    """All layers with a window."""
    config = t.MistralConfig(**SMALL, **ROPE, sliding_window=8, head_dim=16)
    return t.MistralForCausalLM(config), save_bpe, "f16"


EXTRA["mistral"] = """
from conversion.llama import LlamaModel
plain = LlamaModel.set_gguf_parameters
def with_window(self):
    plain(self)
    self.gguf_writer.add_sliding_window(self.hparams['sliding_window'])
LlamaModel.set_gguf_parameters = with_window
"""


def mixtral():
    """Two of four experts, their weights made to sum to one."""
    small = SMALL | {"intermediate_size": 24}
    config = t.MixtralConfig(**small, **ROPE, num_local_experts=4, num_experts_per_tok=2)
    return t.MixtralForCausalLM(config), save_bpe, "f16"


def qwen2moe():
    """Experts beside one that all tokens share, behind a gate of its own."""
    config = t.Qwen2MoeConfig(
        **SMALL, **ROPE, moe_intermediate_size=16, shared_expert_intermediate_size=24,
        num_experts=6, num_experts_per_tok=3, norm_topk_prob=False, decoder_sparse_step=1,
    )
    return t.Qwen2MoeForCausalLM(config), save_bpe, "f16"


def qwen3moe():
    """Experts whose weights sum to one, norms of heads."""
    config = t.Qwen3MoeConfig(
        **SMALL, **ROPE, moe_intermediate_size=16, num_experts=6, num_experts_per_tok=3,
        norm_topk_prob=True, decoder_sparse_step=1, head_dim=16,
    )
    return t.Qwen3MoeForCausalLM(config), save_bpe, "f16"


def olmoe():
    """Experts with norms over all heads."""
    small = SMALL | {"intermediate_size": 16}
    config = t.OlmoeConfig(**small, **ROPE, num_experts=6, num_experts_per_tok=3)
    return t.OlmoeForCausalLM(config), save_bpe, "f16"


def phi3():
    """QKV in one, gate and up in one, a window, and factors of RoPE for short and long texts."""
    small = SMALL | {"vocab_size": 352}
    longrope = rope(
        "longrope", short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.5, 2.0, 3.0, 5.0],
        original_max_position_embeddings=32, factor=2.0,
    )
    config = t.Phi3Config(**small, **longrope, sliding_window=12,
                          original_max_position_embeddings=32)
    return t.Phi3ForCausalLM(config), save_spm, "f16"


def phimoe():
    """A sparse mixer: each of two experts has its share among those nearly as good, not of both."""
    small = SMALL | {"intermediate_size": 24, "vocab_size": 352}
    config = t.PhimoeConfig(
        **small, **ROPE, num_local_experts=4, num_experts_per_tok=2,
        router_jitter_noise=0.01, attention_bias=True, lm_head_bias=True, sliding_window=None,
    )
    return t.PhimoeForCausalLM(config), save_spm, "f16"


def stablelm():
    """Layer norms around a gated MLP, biases on Q, K and V, a quarter of a head rotates."""
    config = t.StableLmConfig(
        **SMALL, **rope("default", partial_rotary_factor=0.25), use_qkv_bias=True,
        partial_rotary_factor=0.25,
    )
    return t.StableLmForCausalLM(config), save_bpe, "f16"


def stablelm2():
    """The 12B of that family: attention and MLP side by side, norms of heads."""
    config = t.StableLmConfig(
        **SMALL, **rope("default", partial_rotary_factor=0.25), use_parallel_residual=True,
        partial_rotary_factor=0.25, qk_layernorm=True,
    )
    return t.StableLmForCausalLM(config), save_bpe, "f16"


FALCON = dict(
    vocab_size=288, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
)


def falcon():
    """One head of keys for all queries, attention and MLP side by side."""
    config = t.FalconConfig(**FALCON, **ROPE)
    return t.FalconForCausalLM(config), save_bpe, "f16"


def falcon40():
    """The 40B of that family: some heads of keys, norms of its own for each side."""
    config = t.FalconConfig(**FALCON, **ROPE, new_decoder_architecture=True, num_kv_heads=2)
    return t.FalconForCausalLM(config), save_bpe, "f16"


def mpt():
    """ALiBi with a number of heads that is no power of two; no biases; clamped Q, K and V."""
    config = t.MptConfig(
        vocab_size=288, d_model=48, n_layers=2, n_heads=3, max_seq_len=64,
        attn_config={"clip_qkv": 1.5, "alibi": True, "alibi_bias_max": 8},
    )
    return t.MptForCausalLM(config), save_bpe, "f16"


def bloom():
    """ALiBi, a norm of the embeddings, biases everywhere."""
    config = t.BloomConfig(vocab_size=288, hidden_size=32, n_layer=2, n_head=4)
    return t.BloomForCausalLM(config), save_bpe, "f16"


def granite():
    """Scales of embeddings, scores, residuals and logits."""
    config = t.GraniteConfig(
        **SMALL, **ROPE, embedding_multiplier=3.0, logits_scaling=2.5, residual_multiplier=0.4,
        attention_multiplier=0.2,
    )
    return t.GraniteForCausalLM(config), save_bpe, "f16"


def granitemoe():
    """Granite with experts."""
    config = t.GraniteMoeConfig(
        **SMALL | {"intermediate_size": 16}, **ROPE, embedding_multiplier=3.0, logits_scaling=2.5,
        residual_multiplier=0.4, attention_multiplier=0.2, num_local_experts=4,
        num_experts_per_tok=2,
    )
    return t.GraniteMoeForCausalLM(config), save_bpe, "f16"


def glm4():
    """Norms before and after each part, half a head rotates, gate and up in one."""
    config = t.Glm4Config(
        **SMALL, **rope("default", partial_rotary_factor=0.5), head_dim=16, attention_bias=True,
    )
    return t.Glm4ForCausalLM(config), save_bpe, "f16"


def chatglm():
    """GLM before its fourth: norms only before, half a head rotates."""
    config = t.GlmConfig(
        **SMALL, **rope("default", partial_rotary_factor=0.5), head_dim=8, attention_bias=True,
        rms_norm_eps=1e-5,
    )
    return t.GlmForCausalLM(config), save_bpe, "f16"


MLA = SMALL | {"num_key_value_heads": 4} | dict(
    kv_lora_rank=16, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10,
    moe_intermediate_size=16, n_routed_experts=8, n_shared_experts=2, num_experts_per_tok=3,
    first_k_dense_replace=1, num_hidden_layers=3,
)


def deepseek2():
    """Compressed keys and values, experts with shared ones, a dense layer first, YaRN."""
    yarn = rope("yarn", factor=4.0, original_max_position_embeddings=16, mscale=0.707,
                mscale_all_dim=0.707, beta_fast=8.0)
    config = t.DeepseekV2Config(
        **MLA, **yarn, q_lora_rank=None, topk_method="greedy", n_group=1, topk_group=1,
        routed_scaling_factor=1.5, norm_topk_prob=False, aux_loss_alpha=0.0,
    )
    config.scoring_func = "softmax"
    return t.DeepseekV2ForCausalLM(config), save_bpe, "f16"


def deepseek3():
    """The third of that family: queries compressed too, experts in groups behind a sigmoid."""
    config = t.DeepseekV3Config(
        **MLA, **ROPE, q_lora_rank=24, n_group=4, topk_group=2, routed_scaling_factor=2.5,
        norm_topk_prob=True,
    )
    config.scoring_func = "sigmoid"
    config.topk_method = "noaux_tc"
    return t.DeepseekV3ForCausalLM(config), save_bpe, "f16"


def gptoss():
    """Sinks, a window in every other layer, clamped gates, experts with biases, YaRN."""
    yarn = rope("yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=8.0,
                beta_slow=1.0, truncate=False)
    config = t.GptOssConfig(
        **SMALL | {"intermediate_size": 32}, **yarn, head_dim=16, sliding_window=8,
        num_local_experts=4, num_experts_per_tok=2,
    )
    return t.GptOssForCausalLM(config), save_bpe, "f16"


EXTRA["gptoss"] = "from conversion.gpt_oss import GptOssModel\nGptOssModel._is_mxfp4 = False\n"


def llama4():
    """Chunks of context, layers without positions, a shared expert, norms without weights."""
    config = t.Llama4TextConfig(
        **SMALL | {"num_hidden_layers": 4, "intermediate_size": 16}, **ROPE, head_dim=8,
        intermediate_size_mlp=48, num_local_experts=4, num_experts_per_tok=1,
        interleave_moe_layer_step=2, use_qk_norm=True, no_rope_layers=[1, 1, 1, 0],
        attention_chunk_size=8, attn_temperature_tuning=True, floor_scale=8, attn_scale=0.1,
    )
    return t.Llama4ForCausalLM(config), save_bpe, "f16"


def cohere():
    """Command-R: one norm for both sides, logits scaled, neighbours pair up in RoPE."""
    config = t.CohereConfig(**SMALL, **ROPE, logit_scale=0.25, use_qk_norm=False)
    return t.CohereForCausalLM(config), save_bpe, "f16"


def cohere2():
    """Three layers with a window and one that sees everything without positions."""
    config = t.Cohere2Config(
        **SMALL | {"num_hidden_layers": 4}, **ROPE, logit_scale=0.25, sliding_window=8, head_dim=8,
    )
    return t.Cohere2ForCausalLM(config), save_bpe, "f16"


def olmo():
    """Norms without weights, clamped Q, K and V."""
    config = t.OlmoConfig(**SMALL, **ROPE, clip_qkv=1.5)
    return t.OlmoForCausalLM(config), save_bpe, "f16"


def olmo3():
    """olmo2 with windows."""
    config = t.Olmo3Config(**SMALL | {"num_hidden_layers": 4}, **ROPE, sliding_window=8)
    return t.Olmo3ForCausalLM(config), save_bpe, "f16"


def nemotron():
    """Layer norms with weights about zero, squared ReLU, half a head rotates."""
    small = SMALL | {"vocab_size": 352}
    config = t.NemotronConfig(**small, **rope("default", partial_rotary_factor=0.5), head_dim=8,
                              partial_rotary_factor=0.5)
    return t.NemotronForCausalLM(config), save_spm, "f16"


def exaone4():
    """Norms after each part, windows, no positions where everything is seen."""
    config = t.Exaone4Config(
        **SMALL | {"num_hidden_layers": 4}, **ROPE, sliding_window=8, sliding_window_pattern=4,
        head_dim=8,
    )
    return t.Exaone4ForCausalLM(config), save_bpe, "f16"


def seed_oss():
    config = t.SeedOssConfig(**SMALL, **ROPE, head_dim=16, attention_bias=True)
    return t.SeedOssForCausalLM(config), save_bpe, "f16"


def ernie4_5():
    small = SMALL | {"vocab_size": 352}
    config = t.Ernie4_5Config(**small, **ROPE, head_dim=16, use_bias=False)
    return t.Ernie4_5ForCausalLM(config), save_spm, "f16"


def arcee():
    """An MLP without a gate, squared ReLU."""
    config = t.ArceeConfig(**SMALL, **ROPE, head_dim=8)
    return t.ArceeForCausalLM(config), save_bpe, "f16"


def hunyuan_dense():
    """Norms of heads after the rotation."""
    config = t.HunYuanDenseV1Config(**SMALL, **ROPE, head_dim=8)
    return t.HunYuanDenseV1ForCausalLM(config), save_bpe, "f16"


def starcoder():
    """Learned positions and one head of keys."""
    config = t.GPTBigCodeConfig(
        vocab_size=288, n_positions=64, n_embd=32, n_layer=2, n_head=4, multi_query=True,
    )
    return t.GPTBigCodeForCausalLM(config), save_bpe, "f16"


def dots1():
    config = t.Dots1Config(
        **SMALL | {"num_hidden_layers": 3}, **ROPE, moe_intermediate_size=16, n_routed_experts=8,
        n_shared_experts=2, num_experts_per_tok=3, n_group=4, topk_group=2, head_dim=8,
        first_k_dense_replace=1, norm_topk_prob=True, routed_scaling_factor=2.5,
    )
    config.scoring_func = "sigmoid"
    return t.Dots1ForCausalLM(config), save_bpe, "f16"


def glm4moe():
    config = t.Glm4MoeConfig(
        **SMALL | {"num_hidden_layers": 3}, **rope("default", partial_rotary_factor=0.5),
        moe_intermediate_size=16, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3,
        n_group=1, topk_group=1, head_dim=8, first_k_dense_replace=1, norm_topk_prob=True,
        routed_scaling_factor=2.5, use_qk_norm=True, attention_bias=True,
        num_nextn_predict_layers=0,
    )
    return t.Glm4MoeForCausalLM(config), save_bpe, "f16"


def bert():
    """An encoder: norms after each part, learned positions, token types."""
    config = t.BertConfig(
        vocab_size=160, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=64,
    )
    return t.BertModel(config, add_pooling_layer=False), save_wordpiece, "f16"


def nomicbert():
    """An encoder with RoPE and a gated MLP."""
    config = t.NomicBertConfig(
        vocab_size=160, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=64, **ROPE,
    )
    return t.NomicBertModel(config, add_pooling_layer=False), save_wordpiece, "f16"


def with_gpt2_vocabulary(module, name):
    """A converter class that asks for special tokens which a tokenizer this small has not."""
    return f"from conversion.{module} import {name}\n{name}.set_vocab = {name}._set_vocab_gpt2\n"


EXTRA["glm4"] = with_gpt2_vocabulary("glm", "Glm4Model")
EXTRA["chatglm"] = with_gpt2_vocabulary("chatglm", "ChatGLMModel")
EXTRA["glm4moe"] = with_gpt2_vocabulary("glm", "Glm4MoeModel")
EXTRA["mpt"] = with_gpt2_vocabulary("mpt", "MPTModel")
EXTRA["mpt"] += "forced = {'architectures': ['MPTForCausalLM']}\n"
EXTRA["stablelm2"] = """
from conversion.base import TextModel
from conversion.stablelm import StableLMModel
stack = StableLMModel.modify_tensors


def stacked(self, data, name, bid):
    # The converter returns a generator from a generator, and loses these norms.
    for which, n in (('q', 'num_attention_heads'), ('k', 'num_key_value_heads')):
        if f'{which}_layernorm.norms' in name:
            norms = self.__dict__.setdefault(f'{which}_norms_of', {}).setdefault(bid, {})
            norms[name] = data
            if len(norms) == self.hparams[n]:
                yield from self._stack_qk_norm(bid, len(norms), norms, f'{which}_layernorm')
            return
    yield from TextModel.modify_tensors(self, data, name, bid)


StableLMModel.modify_tensors = stacked
"""
EXTRA["phimoe"] = """
forced = {'architectures': ['PhiMoEForCausalLM'], 'original_max_position_embeddings': 64}
"""
EXTRA["falcon"] = "forced = {'num_kv_heads': 1}\n"
EXTRA["cohere2"] = "forced = {'rotary_pct': 1.0}\n"
EXTRA["llama4"] = """
from conversion.llama import Llama4Model
plain = Llama4Model.set_gguf_parameters
def with_lengths(self):
    plain(self)
    self.gguf_writer.add_sliding_window(8)
    self.gguf_writer.add_uint32('llama4.attention.temperature_length', 8)
Llama4Model.set_gguf_parameters = with_lengths
"""
EXTRA["nomicbert"] = """
forced = {
    'n_positions': 8192, 'activation_function': 'swiglu', 'causal': False, 'prenorm': False,
    'qkv_proj_bias': False, 'mlp_fc1_bias': False, 'mlp_fc2_bias': False,
    'rotary_emb_fraction': 1.0, 'rotary_emb_interleaved': False, 'rotary_emb_scale_base': None,
    'rotary_emb_base': 10000.0,
}
"""

ARGUMENTS["bert"] = {}
ARGUMENTS["nomicbert"] = {}

MAKERS = [
    llama_yarn, llama_dynamic, mistral, mixtral, qwen2moe, qwen3moe, olmoe, phi3, phimoe, stablelm,
    stablelm2, falcon, falcon40, mpt, bloom, granite, granitemoe, glm4, chatglm, deepseek2,
    deepseek3, gptoss, llama4, cohere, cohere2, olmo, olmo3, nemotron, exaone4, seed_oss, ernie4_5,
    arcee, hunyuan_dense, starcoder, dots1, glm4moe, bert, nomicbert,
]
