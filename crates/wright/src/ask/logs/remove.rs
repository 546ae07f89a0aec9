//! `wright logs rm`: deleting so that nothing is left.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::memory;
use crate::terminal;
use std::time::Duration;
use wright_store::{DeleteReport, Doomed, SqliteStore};

/// Delete turns or conversations, with every byte of their text
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
pub struct Args {
    /// Ids of turns
    #[arg(value_name = "ID", group = "what")]
    turns: Vec<String>,
    /// A conversation with all its turns (repeatable)
    #[arg(long, visible_alias = "cid", value_name = "ID", group = "what")]
    conversation: Vec<String>,
    /// Everything that was asked more than so many days ago
    #[arg(long, value_name = "DAYS", group = "what")]
    older_than: Option<u32>,
    /// How long to wait for other processes that are reading
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
}

const DAY_MS: i64 = 86_400_000;

pub fn main(args: &Args, store: &mut SqliteStore) -> Result<Exit, Failure> {
    let patience = Duration::from_secs(args.wait);
    let mut all = Vec::new();
    for id in &args.turns {
        all.push(store.delete(Doomed::Turn(id), patience)?);
    }
    for id in &args.conversation {
        all.push(store.delete(Doomed::Conversation(id), patience)?);
    }
    if let Some(days) = args.older_than {
        let before_ms = memory::now_ms() - i64::from(days) * DAY_MS;
        all.push(store.delete(Doomed::Before(before_ms), patience)?);
    }
    let sum = |count: fn(&DeleteReport) -> usize| all.iter().map(count).sum::<usize>();
    terminal::print(&format!(
        "{} turns, {} conversations and {} attachments deleted\n",
        sum(|report| report.n_turns),
        sum(|report| report.n_conversations),
        sum(|report| report.n_attachments)
    ))?;
    for report in &all {
        for id in &report.kept {
            terminal::note(&format!("conversation {id} still holds some of the same text"));
        }
        for hash in &report.kept_fragments {
            terminal::note(&format!("fragment {hash} is kept: it has a name or other uses"));
        }
    }
    match all.last().map_or(0, |report| report.wal_bytes_left) {
        0 => Ok(Exit::Done),
        n_bytes => Err(Failure::new(
            Exit::Busy,
            format!(
                "another process is reading the log: {n_bytes} bytes beside it still hold what \
                 was deleted"
            ),
        )
        .hint("end that process, then delete anything again, or anything older, to finish")),
    }
}
