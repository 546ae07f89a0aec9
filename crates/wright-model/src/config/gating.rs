//! How the router of a mixture of experts weighs its choice.

/// How scores of the router become weights of experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gating {
    /// Softmax over all experts.
    Softmax,
    /// Each by itself.
    Sigmoid,
    /// The best scores are chosen as they are; softmax over those.
    SoftmaxOfChosen,
    /// The best are chosen one by one, each with its share in the softmax over those of the rest
    /// that are hardly less (Liu et al. 2023, as Phi-3.5 MoE is run).
    SparseMixer,
}
