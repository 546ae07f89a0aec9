//! The one forward pass, from token ids to logits, read from top to bottom. Every model, executor
//! and use goes through here.
//!
//! A model is data: [`Network`] says which norms, projections and biases a layer has, and an
//! [`Exec`]utor computes the operations that are called for. Shapes in comments use these letters:
//!
//! | letter | meaning |
//! |---|---|
//! | T | rows of the pass: tokens of all its sequences |
//! | R | rows at hand: T, and from the last layer's attention on only the wanted ones |
//! | C | width of the residual stream, `n_embd` |
//! | H, G | query heads, key and value heads (G divides H; Ainslie et al. 2023, GQA) |
//! | D, E | values in a head of queries and keys, and of values |
//! | F | width of the MLP, `n_ff` |
//! | V | size of the vocabulary |

use crate::exec::{Exec, Qkv};
use crate::network::{
    Attention, Block, Experts, FeedForward, Gate, LatentProjections, Mlp, Network, Norm,
    Projections,
};
use wright_kernels::Activation;

/// Runs `network` over the rows that `e` was made for.
///
/// # Shapes
/// The result is the logits of the wanted rows, (R, V).
pub fn forward<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let x = layers(e, network); // (R, C)
    let mut logits = e.head(&x, network.out_norm.as_ref(), &network.head); // (R, V)
    if network.logit_scale != 1.0 {
        logits = e.scale(logits, network.logit_scale);
    }
    match network.logit_soft_cap {
        Some(cap) => e.soft_cap(logits, cap),
        None => logits,
    }
}

/// As [`forward`], but stops before the head: what embeddings are made of.
///
/// # Shapes
/// The result is the vectors of the wanted rows, (R, C).
pub fn hidden<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let x = layers(e, network); // (R, C)
    normed_in_place(e, x, network.out_norm.as_ref())
}

/// As [`hidden`], and on through the classifier, where the network has one.
///
/// # Shapes
/// The result is (R, labels), or (R, C) without a classifier.
pub fn classify<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let mut x = hidden(e, network); // (R, C)
    let Some(classifier) = &network.classifier else { return x };
    if let Some(dense) = &classifier.dense {
        x = e.linear(&x, dense);
        x = e.activate(x, Activation::Tanh);
    }
    e.linear(&x, &classifier.out)
}

/// From token ids to what the last layer gives for the wanted rows: (R, C).
fn layers<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let mut x = e.embed(network.embed, network.embed_scale); // (T, C)
    if let Some(table) = network.token_types {
        let types = e.embed_types(table);
        x = e.add(x, &types);
    }
    if let Some(table) = network.positions {
        let positions = e.embed_positions(table);
        x = e.add(x, &positions);
    }
    x = normed_in_place(e, x, network.embed_norm.as_ref());
    let last = network.blocks.len() - 1;
    for (layer, block) in network.blocks.iter().enumerate() {
        e.begin_layer(&x);
        x = forward_block(e, block, layer, layer == last, x);
    }
    x
}

/// One layer: attention, then the feed-forward part, each added to the residual stream; or, in a
/// parallel layer, both computed from the same input. (T, C) to (R, C).
fn forward_block<E: Exec>(
    e: &mut E,
    block: &Block,
    layer: usize,
    is_last: bool,
    mut x: E::Tensor,
) -> E::Tensor {
    let (attention, feed, scale) = (&block.attention, &block.feed_forward, block.residual_scale);
    let mut heads = attend(e, attention, layer, &x); // (T, H * E)
    if is_last {
        // Nothing after this looks at another row.
        heads = e.wanted_rows(heads);
        x = e.wanted_rows(x);
    }
    if let Projections::Latent(latent) = &attention.projections {
        heads = e.linear_heads(&heads, &latent.v_b); // (R, H * rank) to (R, H * E)
    }
    if block.parallel {
        let norm = feed.norm.as_ref().or(attention.norm.as_ref());
        let fed = feed_forward(e, feed, norm, &x); // (R, C)
        let attended = e.linear(&heads, &attention.out); // (R, C)
        x = add_residual(e, x, attended, attention.post_norm.as_ref(), scale);
        return add_residual(e, x, fed, feed.post_norm.as_ref(), scale);
    }
    let attended = e.linear(&heads, &attention.out); // (R, C)
    x = add_residual(e, x, attended, attention.post_norm.as_ref(), scale);
    x = normed_in_place(e, x, attention.out_norm.as_ref());
    let fed = feed_forward(e, feed, feed.norm.as_ref(), &x); // (R, C)
    x = add_residual(e, x, fed, feed.post_norm.as_ref(), scale);
    normed_in_place(e, x, feed.out_norm.as_ref())
}

/// x + scale * norm(part); models without this norm or scale leave them out.
fn add_residual<E: Exec>(
    e: &mut E,
    x: E::Tensor,
    mut part: E::Tensor,
    norm: Option<&Norm>,
    scale: f32,
) -> E::Tensor {
    part = normed_in_place(e, part, norm);
    if scale != 1.0 {
        part = e.scale(part, scale);
    }
    e.add(x, &part)
}

/// Attention of every head, before the output projection: (T, C) to (T, H * E).
///
/// Vaswani et al. 2017, with rotary positions (Su et al. 2021) between projection and cache.
fn attend<E: Exec>(e: &mut E, a: &Attention, layer: usize, x: &E::Tensor) -> E::Tensor {
    let qkv = match &a.projections {
        Projections::Latent(latent) => latent_qkv(e, a, latent, x),
        _ => qkv(e, a, x),
    };
    e.attend(layer, qkv, &a.heads, a.sinks)
}

/// Queries (T, H * D), keys (T, G * D) and values (T, G * E) of a layer's input (T, C).
fn qkv<E: Exec>(e: &mut E, a: &Attention, x: &E::Tensor) -> Qkv<E::Tensor> {
    let heads = &a.heads;
    let norm = a.norm.as_ref();
    let [mut q, mut k, mut v] = match &a.projections {
        Projections::Split { q, k, v } => e.norm_linears(x, norm, [q, k, v]),
        Projections::Fused(linear) => {
            let [all] = e.norm_linears(x, norm, [linear]); // (T, H * D + G * D + G * E)
            let (q, k, v) = (heads.q_width(), heads.k_width(), heads.v_width());
            [(0, q), (q, k), (q + k, v)].map(|(start, len)| e.columns(&all, start, len))
        }
        Projections::Latent(_) => unreachable!("latent attention has its own projections"),
    };
    if let Some(limit) = a.clamp {
        [q, k, v] = [q, k, v].map(|x| e.clamp(x, limit));
    }
    if !a.norm_after_rope {
        q = normed_in_place(e, q, a.q_norm.as_ref());
        k = normed_in_place(e, k, a.k_norm.as_ref());
    }
    if let Some(rope) = a.rope {
        q = e.rope(q, rope, heads.key_dim);
        k = e.rope(k, rope, heads.key_dim);
    }
    if a.norm_after_rope {
        q = normed_in_place(e, q, a.q_norm.as_ref());
        k = normed_in_place(e, k, a.k_norm.as_ref());
    }
    if let Some(temperature) = a.temperature {
        q = e.scale_by_position(q, temperature);
    }
    Qkv { q, k, v }
}

/// As [`qkv`], of multi-head latent attention in its absorbed form (DeepSeek-AI 2024, section
/// 2.1): keys and values stay compressed to `rank` values, one head of them for all queries, and
/// queries are brought to where those are. A head of queries or keys is a plain part, which tells
/// no position, and a rotated one.
fn latent_qkv<E: Exec>(
    e: &mut E,
    a: &Attention,
    latent: &LatentProjections,
    x: &E::Tensor,
) -> Qkv<E::Tensor> {
    let (n_plain, n_rot, rank) = (latent.shape.n_plain, latent.shape.n_rot, latent.shape.rank);
    let (n_head, head_dim, norm) = (a.heads.n_head, n_plain + n_rot, a.norm.as_ref());
    // q (T, H * (n_plain + n_rot)), kv (T, rank + n_rot)
    let (q, kv) = match &latent.q_a {
        Some((down, q_norm)) => {
            let [q, kv] = e.norm_linears(x, norm, [down, &latent.kv_a]);
            let [q] = e.norm_linears(&q, Some(q_norm), [&latent.q]);
            (q, kv)
        }
        None => {
            let [q, kv] = e.norm_linears(x, norm, [&latent.q, &latent.kv_a]);
            (q, kv)
        }
    };
    let compressed = e.columns(&kv, 0, rank); // (T, rank)
    let compressed = e.norm_in_place(compressed, &latent.kv_norm);
    let mut k_rot = e.columns(&kv, rank, n_rot); // (T, n_rot)
    let q_plain = e.head_columns(&q, head_dim, 0, n_plain); // (T, H * n_plain)
    let mut q_rot = e.head_columns(&q, head_dim, n_plain, n_rot); // (T, H * n_rot)
    if let Some(rope) = a.rope {
        q_rot = e.rope(q_rot, rope, n_rot);
        k_rot = e.rope(k_rot, rope, n_rot);
    }
    let q_plain = e.linear_heads(&q_plain, &latent.k_b); // (T, H * rank)
    let q = e.join_heads(&q_plain, &q_rot, n_head); // (T, H * (rank + n_rot))
    let k = e.join_heads(&compressed, &k_rot, 1); // (T, rank + n_rot)
    Qkv { q, k, v: compressed }
}

/// An MLP, experts, or both: (R, C) to (R, C). `norm` comes first: the layer's own, or in a
/// parallel layer the one shared with attention.
fn feed_forward<E: Exec>(
    e: &mut E,
    feed: &FeedForward,
    norm: Option<&Norm>,
    x: &E::Tensor,
) -> E::Tensor {
    match &feed.experts {
        None => mlp(e, feed.mlp.as_ref().expect("an MLP where there are no experts"), norm, x),
        Some(experts) => mixture_of_experts(e, feed, experts, norm, x),
    }
}

/// Each row goes to the experts that its router chooses (Shazeer et al. 2017) and, where the
/// model has one, to an MLP that all rows share. (R, C) to (R, C).
fn mixture_of_experts<E: Exec>(
    e: &mut E,
    feed: &FeedForward,
    experts: &Experts,
    norm: Option<&Norm>,
    x: &E::Tensor,
) -> E::Tensor {
    let normed = norm.map(|norm| e.norm(x, norm));
    let x = normed.as_ref().unwrap_or(x);
    let scores = e.linear(x, &experts.router); // (R, n_expert)
    let chosen = e.experts(x, &scores, experts); // (R, C)
    let Some(shared) = &feed.mlp else { return chosen };
    let mut shared = mlp(e, shared, None, x); // (R, C)
    if let Some(gate) = &feed.mlp_gate {
        let gate = e.linear(x, gate); // (R, 1)
        let gate = e.activate(gate, Activation::Sigmoid);
        shared = e.scale_rows(shared, &gate);
    }
    e.add(chosen, &shared)
}

/// A multi-layer perceptron, plain or gated (Shazeer 2020, GLU variants): (R, C) to (R, C).
fn mlp<E: Exec>(e: &mut E, mlp: &Mlp, norm: Option<&Norm>, x: &E::Tensor) -> E::Tensor {
    match &mlp.gate {
        Gate::None => {
            let [up] = e.norm_linears(x, norm, [&mlp.up]); // (R, F)
            let hidden = e.activate(up, mlp.activation);
            e.linear(&hidden, &mlp.down)
        }
        Gate::Split(gate) => {
            let [gate, up] = e.norm_linears(x, norm, [gate, &mlp.up]); // (R, F) each
            e.gated_linear(gate, &up, mlp.activation, &mlp.down)
        }
        Gate::FusedWithUp => {
            let [both] = e.norm_linears(x, norm, [&mlp.up]); // (R, 2 * F)
            let hidden = e.gated_halves(&both, mlp.down.n_in, mlp.activation); // (R, F)
            e.linear(&hidden, &mlp.down)
        }
    }
}

/// norm(x), or x where the model has no norm at this place.
fn normed_in_place<E: Exec>(e: &mut E, x: E::Tensor, norm: Option<&Norm>) -> E::Tensor {
    match norm {
        Some(norm) => e.norm_in_place(x, norm),
        None => x,
    }
}
