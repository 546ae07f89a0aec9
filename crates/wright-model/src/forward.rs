//! The one forward pass. Every model, executor and use goes through here.

use crate::exec::Exec;
use crate::network::{Block, Network, Norm};

/// Runs `network` over the rows that `e` was made for. Returns the logits of the wanted rows,
/// (wanted, n_vocab).
pub fn forward<E: Exec>(e: &mut E, network: &Network) -> E::Tensor {
    let mut x = e.embed(network.embed, network.embed_scale);
    if let Some(table) = network.positions {
        let positions = e.embed_positions(table);
        x = e.add(x, &positions);
    }
    if let Some(norm) = &network.embed_norm {
        x = e.norm(&x, norm);
    }
    let last = network.blocks.len() - 1;
    for (index, block) in network.blocks.iter().enumerate() {
        x = forward_block(e, block, index, index == last, x);
    }
    let mut logits = e.head(&x, network.out_norm.as_ref(), &network.head);
    if network.logit_scale != 1.0 {
        logits = e.scale(logits, network.logit_scale);
    }
    match network.logit_soft_cap {
        Some(cap) => e.soft_cap(logits, cap),
        None => logits,
    }
}

/// One layer. After the last one's attention only the wanted rows go on.
fn forward_block<E: Exec>(
    e: &mut E,
    block: &Block,
    index: usize,
    is_last: bool,
    x: E::Tensor,
) -> E::Tensor {
    let attention = &block.attention;
    let qkv = e.qkv(&x, attention);
    let mut mixed = e.attend(index, qkv, &attention.heads, attention.sinks);
    let mut x = x;
    if is_last {
        mixed = e.wanted_rows(mixed);
        x = e.wanted_rows(x);
    }
    if block.parallel {
        let norm = block.mlp.norm.as_ref().or(attention.norm.as_ref());
        let fed = e.gated_mlp(&x, norm, &block.mlp);
        let mixed = e.linear(&mixed, &attention.out);
        x = add_normed(e, x, mixed, attention.post_norm.as_ref());
        return add_normed(e, x, fed, block.mlp.post_norm.as_ref());
    }
    let mixed = e.linear(&mixed, &attention.out);
    let x = add_normed(e, x, mixed, attention.post_norm.as_ref());
    let fed = e.gated_mlp(&x, block.mlp.norm.as_ref(), &block.mlp);
    add_normed(e, x, fed, block.mlp.post_norm.as_ref())
}

/// The residual and what a part adds to it, normalised where the model does so.
fn add_normed<E: Exec>(
    e: &mut E,
    residual: E::Tensor,
    part: E::Tensor,
    norm: Option<&Norm>,
) -> E::Tensor {
    let part = match norm {
        Some(norm) => e.renorm(part, norm),
        None => part,
    };
    e.add(residual, &part)
}
