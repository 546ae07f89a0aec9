//! Flags that several verbs share.

/// Which model, and how it runs.
#[derive(Debug, Clone, clap::Args)]
pub struct ModelFlags {
    /// A name from `wright models`, or a path to a .gguf file
    #[arg(short, long, value_name = "NAME|FILE")]
    pub model: Option<String>,
    #[command(flatten)]
    pub engine: EngineFlags,
}

/// How a model runs.
#[derive(Debug, Clone, clap::Args)]
pub struct EngineFlags {
    /// Threads to compute with [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Tokens that prompt and answer may have together [default: the model's own, at most 8192]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..))]
    pub ctx: Option<u32>,
    /// Compute exactly: 32-bit activations and cache; slower
    #[arg(long)]
    pub exact: bool,
    /// Compute one token at a time, even where the answer repeats what was said; the same answer
    #[arg(long)]
    pub no_drafts: bool,
    /// Neither look for prompts that were read before nor keep what is read
    #[arg(long)]
    pub no_prefix_cache: bool,
    /// Do not stop an answer that repeats itself without end
    #[arg(long)]
    pub no_loop_stop: bool,
    /// Run a family of models that no other implementation was there to test
    #[arg(long)]
    pub unverified: bool,
}

impl EngineFlags {
    /// Whether loops end answers; `None` leaves it to the kind of prompt.
    pub fn stop_loops(&self) -> Option<bool> {
        self.no_loop_stop.then_some(false)
    }
}

/// Reads `--minutes`.
///
/// # Errors
/// If it is no number of minutes that a training can take.
pub fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.05..=1e6).contains(&n) => Ok(n),
        Ok(_) => Err("a training takes from 0.05 to 1000000 minutes".to_owned()),
        Err(_) => Err("it is no number".to_owned()),
    }
}
