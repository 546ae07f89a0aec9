//! The parts of a model, each with the weights it uses: what the forward pass walks over.
//!
//! Built once from a [`Config`] and the file's table of tensors. Every shape is checked here, and
//! a tensor that nothing uses is an error: it would be a part of the model that we leave out.

mod bind;
mod table;

use crate::config::{Heads, Latent, NormKind, Routing, Temperature};
use crate::rope::Rope;
use wright_kernels::Activation;

/// A tensor of the model: its index in [`crate::Model::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub(crate) u32);

impl WeightId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// y = W x + b
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// (n_out, n_in)
    pub weight: WeightId,
    /// (n_out)
    pub bias: Option<WeightId>,
    pub n_in: usize,
    pub n_out: usize,
}

/// Matrices of one shape side by side, one for each head or expert.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bank {
    /// (n, n_out, n_in)
    pub weight: WeightId,
    /// (n, n_out)
    pub bias: Option<WeightId>,
    pub n: usize,
    pub n_in: usize,
    pub n_out: usize,
}

/// A norm over each run of `group` values of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    pub kind: NormKind,
    /// (group), or (heads, group) where each head of a row has its own.
    pub weight: Option<WeightId>,
    pub bias: Option<WeightId>,
    pub eps: f32,
    /// The whole row, or one head.
    pub group: usize,
}

/// How queries, keys and values come out of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Projections {
    Split {
        q: Linear,
        k: Linear,
        v: Linear,
    },
    /// One matrix gives all three, side by side in this order.
    Fused(Linear),
    Latent(Box<LatentProjections>),
}

/// Queries, keys and values of multi-head latent attention. Keys and values are kept compressed,
/// one head of them for all queries, and queries are brought to where those are.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentProjections {
    pub shape: Latent,
    /// Queries are compressed first.
    pub q_a: Option<(Linear, Norm)>,
    /// To (n_head, n_plain + n_rot).
    pub q: Linear,
    /// To rank + n_rot.
    pub kv_a: Linear,
    pub kv_norm: Norm,
    /// For each head, n_plain to rank.
    pub k_b: Bank,
    /// For each head, rank to value_dim; after attention.
    pub v_b: Bank,
}

/// One layer's attention.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Before the projections.
    pub norm: Option<Norm>,
    pub projections: Projections,
    /// Queries, keys and values are cut to this size.
    pub clamp: Option<f32>,
    pub q_norm: Option<Norm>,
    pub k_norm: Option<Norm>,
    /// Those norms come after the rotation.
    pub norm_after_rope: bool,
    /// Index into [`Network::ropes`].
    pub rope: Option<usize>,
    pub temperature: Option<Temperature>,
    pub heads: Heads,
    /// One score a head that takes part in the softmax and has no value.
    pub sinks: Option<WeightId>,
    pub out: Linear,
    /// After the projection, before the residual.
    pub post_norm: Option<Norm>,
    /// After the residual.
    pub out_norm: Option<Norm>,
}

/// One layer's feed-forward part: an MLP, experts, or both together.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedForward {
    /// None where a parallel layer shares attention's norm.
    pub norm: Option<Norm>,
    /// For all tokens. Beside experts it is the one that they share.
    pub mlp: Option<Mlp>,
    /// The MLP's part is multiplied with the sigmoid of this, one number a row.
    pub mlp_gate: Option<Linear>,
    pub experts: Option<Experts>,
    pub post_norm: Option<Norm>,
    /// After the residual.
    pub out_norm: Option<Norm>,
}

/// A multi-layer perceptron.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    pub gate: Gate,
    pub up: Linear,
    pub down: Linear,
    pub activation: Activation,
}

/// What the activation applies to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gate {
    /// down(act(up(x)))
    None,
    /// down(act(gate(x)) * up(x))
    Split(Linear),
    /// As `Split`; the first half of `up` is the gate.
    FusedWithUp,
}

/// MLPs of which each token meets a few.
#[derive(Debug, Clone, PartialEq)]
pub struct Experts {
    pub routing: Routing,
    /// To a score for each expert.
    pub router: Linear,
    /// Added to the scores for the choice alone. (n_expert)
    pub choice_bias: Option<WeightId>,
    /// None where `up` is not gated.
    pub gate: Option<Bank>,
    pub up: Bank,
    pub down: Bank,
    pub activation: Activation,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub attention: Attention,
    pub feed_forward: FeedForward,
    /// x + attention(x) + mlp(x) instead of one after the other.
    pub parallel: bool,
    /// What each part adds is multiplied with it.
    pub residual_scale: f32,
}

/// Gives a score to a text: out(tanh(dense(x))), of its pooled vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classifier {
    pub dense: Option<Linear>,
    pub out: Linear,
}

/// A whole model.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// (n_vocab, n_embd)
    pub embed: WeightId,
    pub embed_scale: f32,
    /// (n_ctx, n_embd): learned positions, added to the embeddings.
    pub positions: Option<WeightId>,
    /// (types, n_embd): the row of a token's type is added to its embedding.
    pub token_types: Option<WeightId>,
    pub embed_norm: Option<Norm>,
    pub ropes: Vec<Rope>,
    pub blocks: Vec<Block>,
    pub out_norm: Option<Norm>,
    /// Of an encoder, which has none, the embedding.
    pub head: Linear,
    /// Whether the head's matrix is the embedding's.
    pub tied: bool,
    pub classifier: Option<Classifier>,
    pub logit_scale: f32,
    pub logit_soft_cap: Option<f32>,
    pub n_embd: usize,
    pub n_vocab: usize,
}
