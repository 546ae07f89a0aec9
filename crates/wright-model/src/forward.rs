//! The one forward pass. Every model, executor and use goes through here.

use crate::exec::Exec;
use crate::network::{Block, Network, Norm, Projections};
use wright_kernels::Activation;

/// Runs `network` over the rows that `e` was made for. Returns the logits of the wanted rows,
/// (wanted, n_vocab).
pub fn forward<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let x = layers(e, network);
    let mut logits = e.head(&x, network.out_norm.as_ref(), &network.head);
    if network.logit_scale != 1.0 {
        logits = e.scale(logits, network.logit_scale);
    }
    match network.logit_soft_cap {
        Some(cap) => e.soft_cap(logits, cap),
        None => logits,
    }
}

/// As [`forward`], but stops before the head: the vectors of the wanted rows, (wanted, n_embd).
pub fn hidden<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let x = layers(e, network);
    match &network.out_norm {
        Some(norm) => e.renorm(x, norm),
        None => x,
    }
}

/// As [`hidden`], and on through the classifier: (wanted, labels), or the vectors where the
/// network has none.
pub fn classify<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let mut x = hidden(e, network);
    let Some(classifier) = &network.classifier else { return x };
    if let Some(dense) = &classifier.dense {
        x = e.linear(&x, dense);
        x = e.activate(x, Activation::Tanh);
    }
    e.linear(&x, &classifier.out)
}

/// From tokens to what the last layer gives for the wanted rows.
fn layers<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let mut x = e.embed(network.embed, network.embed_scale);
    if let Some(table) = network.token_types {
        let types = e.embed_types(table);
        x = e.add(x, &types);
    }
    if let Some(table) = network.positions {
        let positions = e.embed_positions(table);
        x = e.add(x, &positions);
    }
    if let Some(norm) = &network.embed_norm {
        x = e.renorm(x, norm);
    }
    let last = network.blocks.len() - 1;
    for (index, block) in network.blocks.iter().enumerate() {
        x = forward_block(e, block, index, index == last, x);
    }
    x
}

/// One layer. After the last one's attention only the wanted rows go on.
fn forward_block<E: Exec>(
    e: &mut E,
    block: &Block,
    index: usize,
    is_last: bool,
    x: E::Tensor,
) -> E::Tensor {
    e.begin_layer(&x);
    let attention = &block.attention;
    let qkv = e.qkv(&x, attention);
    let mut mixed = e.attend(index, qkv, &attention.heads, attention.sinks);
    let mut x = x;
    if is_last {
        mixed = e.wanted_rows(mixed);
        x = e.wanted_rows(x);
    }
    if let Projections::Latent(latent) = &attention.projections {
        mixed = e.linear_heads(&mixed, &latent.v_b);
    }
    let by = block.residual_scale;
    if block.parallel {
        let norm = block.feed.norm.as_ref().or(attention.norm.as_ref());
        let fed = e.feed(&x, norm, &block.feed);
        let mixed = e.linear(&mixed, &attention.out);
        x = add_part(e, x, mixed, attention.post_norm.as_ref(), by);
        return add_part(e, x, fed, block.feed.post_norm.as_ref(), by);
    }
    let mixed = e.linear(&mixed, &attention.out);
    let mut x = add_part(e, x, mixed, attention.post_norm.as_ref(), by);
    if let Some(norm) = &attention.out_norm {
        x = e.renorm(x, norm);
    }
    let fed = e.feed(&x, block.feed.norm.as_ref(), &block.feed);
    let x = add_part(e, x, fed, block.feed.post_norm.as_ref(), by);
    match &block.feed.out_norm {
        Some(norm) => e.renorm(x, norm),
        None => x,
    }
}

/// The residual and what a part adds to it, normalised and scaled where the model does so.
fn add_part<E: Exec>(
    e: &mut E,
    residual: E::Tensor,
    mut part: E::Tensor,
    norm: Option<&Norm>,
    by: f32,
) -> E::Tensor {
    if let Some(norm) = norm {
        part = e.renorm(part, norm);
    }
    if by != 1.0 {
        part = e.scale(part, by);
    }
    e.add(residual, &part)
}
