//! Flags that several verbs share.

/// Which model, and how it runs.
#[derive(Debug, Clone, clap::Args)]
pub struct ModelFlags {
    /// Model name from `wright models`, or path to a .gguf file
    #[arg(short, long, value_name = "NAME|FILE")]
    pub model: Option<String>,
    /// Context length: maximum tokens of input and answer together [default: the model's, at most
    /// 8192]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..))]
    pub ctx: Option<u32>,
    #[command(flatten)]
    pub engine: EngineFlags,
}

/// Options of a local model.
#[derive(Debug, Clone, clap::Args)]
pub struct EngineFlags {
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Use 32-bit activations and KV cache; slower
    #[arg(long)]
    pub exact: bool,
    /// Run an architecture that is not verified against a reference implementation
    #[arg(long)]
    pub unverified: bool,
}

/// How an answer is generated: for verbs that write text.
#[derive(Debug, Clone, clap::Args)]
pub struct AnswerFlags {
    /// Disable speculative decoding (prompt lookup); output is unchanged
    #[arg(long)]
    pub no_drafts: bool,
    /// Do not read or write the on-disk prompt cache
    #[arg(long)]
    pub no_prefix_cache: bool,
    /// Do not stop an answer that repeats itself without end
    #[arg(long)]
    pub no_loop_stop: bool,
}

impl AnswerFlags {
    /// Whether loops end answers; `None` leaves it to the kind of prompt.
    pub fn stop_loops(&self) -> Option<bool> {
        self.no_loop_stop.then_some(false)
    }
}

/// Reads `--minutes`.
///
/// # Errors
/// If it is not a number of minutes that a training can take.
pub fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.05..=1e6).contains(&n) => Ok(n),
        Ok(_) => Err("must be between 0.05 and 1000000 minutes".to_owned()),
        Err(_) => Err("not a number".to_owned()),
    }
}
