//! Numbers of a mixture of experts.

use super::families::Family;
use super::gating::Gating;
use super::keys::Keys;
use crate::Error;

/// Which experts a token meets, and with what weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Routing {
    pub n_expert: usize,
    /// Experts that a token meets.
    pub n_used: usize,
    pub gating: Gating,
    /// Weights are divided by their sum.
    pub normalise: bool,
    /// Weights are multiplied with it at last.
    pub scale: f32,
    /// Experts come in groups, of which the best by their two best experts stay: (groups, used).
    pub groups: Option<(usize, usize)>,
    /// What an expert reads is multiplied with its weight, not what it gives.
    pub weighs_input: bool,
    /// min(gate, 7) sigmoid(1.702 gate) (clamp(up, -7, 7) + 1) in place of the activation.
    pub clamped_gates: bool,
}

/// None for a model without experts.
pub(super) fn read(keys: &Keys<'_>, family: &Family) -> Result<Option<Routing>, Error> {
    let Some(n_expert) = keys.u32("expert_count")?.filter(|&n| n > 0) else { return Ok(None) };
    let n_expert = n_expert as usize;
    let n_used = keys.size("expert_used_count")?;
    if n_used > n_expert {
        let why = format!("is {n_used}, of {n_expert} experts");
        return Err(Error::metadata(keys.name("expert_used_count"), why));
    }
    const GATING: &str = "expert_gating_func";
    let gating = match keys.u32(GATING)?.unwrap_or(0) {
        0 => family.gating,
        1 => Gating::Softmax,
        2 => Gating::Sigmoid,
        3 => Gating::SoftmaxOfChosen,
        other => {
            let why = format!("is {other}, but must be 1, 2 or 3");
            return Err(Error::metadata(keys.name(GATING), why));
        }
    };
    Ok(Some(Routing {
        n_expert,
        n_used,
        gating,
        normalise: keys.bool("expert_weights_norm")?.unwrap_or(family.normalises_experts),
        scale: keys.f32("expert_weights_scale")?.filter(|&s| s != 0.0).unwrap_or(1.0),
        groups: groups(keys, n_expert, n_used)?,
        weighs_input: family.weighs_input,
        clamped_gates: family.clamped_gates,
    }))
}

fn groups(
    keys: &Keys<'_>,
    n_expert: usize,
    n_used: usize,
) -> Result<Option<(usize, usize)>, Error> {
    const KEY: &str = "expert_group_count";
    let Some(groups) = keys.u32(KEY)?.filter(|&n| n > 1) else { return Ok(None) };
    let groups = groups as usize;
    let used = keys.size("expert_group_used_count")?;
    if !n_expert.is_multiple_of(groups) || n_expert / groups < 2 {
        let why = format!("is {groups}, which does not divide {n_expert} experts");
        return Err(Error::metadata(keys.name(KEY), why));
    }
    if used > groups || used * (n_expert / groups) < n_used {
        let why = format!("is {used}, of {groups} groups for {n_used} experts");
        return Err(Error::metadata(keys.name("expert_group_used_count"), why));
    }
    Ok(Some((groups, used)))
}
