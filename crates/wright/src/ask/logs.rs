//! `wright logs`: what was said, listed, searched, exported and deleted.

mod remove;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::open::memory;
use crate::terminal;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use wright_chat::Message;
use wright_host::AtomicFile;
use wright_store::{ExportError, Filter, Format, Scope, SqliteStore, Store, format_day, turn_json};

/// Show, search, export and delete what was said
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show the newest turns, or those that flags choose
    List(List),
    /// Print where the log is
    Path,
    /// Say whether logging is on, and how much there is
    Status,
    /// Turn logging on
    On,
    /// Turn logging off
    Off,
    /// Copy the log to a new file
    Backup {
        /// The file to write
        file: PathBuf,
    },
    Rm(remove::Args),
    Export(Export),
    /// Add everything in a log of `llm`
    Import {
        /// The file logs.db of `llm`
        file: PathBuf,
    },
    /// Show turns, tokens and costs by day and model
    Stats {
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
}

/// Which turns.
#[derive(Debug, Clone, clap::Args)]
struct Chosen {
    /// Words in prompt or answer; "a phrase", wor*, AND, OR, NOT, prompt:, response:
    #[arg(short, long, value_name = "WORDS")]
    query: Option<String>,
    /// Only turns with this model
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Only this conversation
    #[arg(long, visible_alias = "cid", value_name = "ID")]
    conversation: Option<String>,
    /// Only the conversation with the newest turn
    #[arg(short, long, conflicts_with = "conversation")]
    current: bool,
    /// Only turns that were given this fragment (hash or alias; repeatable)
    #[arg(short, long, value_name = "FRAGMENT")]
    fragment: Vec<String>,
    /// Only turns that were given a result of this tool (repeatable)
    #[arg(short = 'T', long, value_name = "TOOL")]
    tool: Vec<String>,
    /// Only turns that were given a result of any tool
    #[arg(long)]
    tools: bool,
    /// Only turns with this schema (id or name)
    #[arg(long, value_name = "SCHEMA")]
    schema: Option<String>,
    /// Only turns after the one with this id
    #[arg(long, value_name = "ID")]
    id_gt: Option<String>,
    /// Only the turn with this id and those after it
    #[arg(long, value_name = "ID")]
    id_gte: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
struct List {
    /// How many turns; 0 is all [default: 3, or all of a conversation]
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    chosen: Chosen,
    /// With -q: the newest matches instead of the best
    #[arg(short, long)]
    latest: bool,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    /// Print the text of the last answer alone
    #[arg(short, long, conflicts_with = "json")]
    response: bool,
}

/// Write turns to a file or to standard output
#[derive(Debug, clap::Args)]
struct Export {
    #[command(flatten)]
    chosen: Chosen,
    /// The form; `llm` is a log that `llm` opens as its own
    #[arg(long, value_name = "FORM", default_value = "jsonl")]
    #[arg(value_parser = ["jsonl", "markdown", "html", "llm"])]
    format: String,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Chosen {
    fn filter(&self, store: &SqliteStore) -> Result<Filter, Failure> {
        let conversation = match self.current {
            true => store.latest_conversation()?,
            false => self.conversation.clone(),
        };
        Ok(Filter {
            model: self.model.clone(),
            conversation,
            fragments: self.fragment.clone(),
            tools: self.tool.clone(),
            any_tool: self.tools,
            schema: self.schema.clone(),
            after: self.id_gt.clone(),
            since: self.id_gte.clone(),
            words: self.query.clone(),
            by_relevance: false,
            limit: None,
        })
    }
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.what {
        None => list(&args.list, context),
        Some(What::List(args)) => list(args, context),
        Some(What::Path) => print(&format!("{}\n", context.home.memory.display())),
        Some(What::Status) => status(context),
        Some(What::On) => {
            memory::set_on(context, true)?;
            print("logging is on\n")
        }
        Some(What::Off) => {
            memory::set_on(context, false)?;
            print("logging is off\n")
        }
        Some(What::Backup { file }) => {
            existing(context)?.backup(file)?;
            print(&format!("{}\n", file.display()))
        }
        Some(What::Rm(args)) => remove::main(args, &mut existing(context)?),
        Some(What::Export(args)) => export(args, &existing(context)?),
        Some(What::Import { file }) => import(file, context),
        Some(What::Stats { json }) => stats(*json, &existing(context)?),
    }
}

fn print(text: &str) -> Result<Exit, Failure> {
    terminal::print(text)?;
    Ok(Exit::Done)
}

/// The memory, which must be there.
fn existing(context: &Context) -> Result<SqliteStore, Failure> {
    let path = &context.home.memory;
    let found = SqliteStore::open_existing(path)?;
    found.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("nothing has been logged in {}", path.display()))
            .hint("ask something first; `wright logs status` says whether logging is on")
    })
}

fn list(args: &List, context: &Context) -> Result<Exit, Failure> {
    let Some(store) = SqliteStore::open_existing(&context.home.memory)? else {
        return print(if args.json { "[]\n" } else { "" });
    };
    let mut filter = args.chosen.filter(&store)?;
    let n_default = if args.response { 1 } else { 3 };
    filter.limit = match (args.count, &filter.conversation) {
        (Some(0), _) => None,
        (None, Some(_)) if !args.response => None,
        (count, _) => Some(count.unwrap_or(n_default)),
    };
    filter.by_relevance = filter.words.is_some() && !args.latest;
    if args.response {
        let turn = store.turns(&filter)?.into_iter().next();
        let text = turn.iter().flat_map(|turn| &turn.answer).map(Message::plain_text);
        return print(&format!("{}\n", text.collect::<String>()));
    }
    if args.json {
        let mut turns = store.turns(&filter)?;
        turns.reverse();
        let turns: Vec<Value> = turns.iter().map(turn_json).collect();
        let text = serde_json::to_string_pretty(&turns)
            .map_err(|error| Failure::new(Exit::Defect, error))?;
        return print(&format!("{text}\n"));
    }
    let mut out = Vec::new();
    store.export(&filter, Format::Markdown, &mut out).map_err(exported)?;
    let text = String::from_utf8_lossy(&out);
    match io::IsTerminal::is_terminal(&io::stdout()) {
        true => print(&terminal::shown(&text)),
        false => print(&text),
    }
}

fn status(context: &Context) -> Result<Exit, Failure> {
    let path = &context.home.memory;
    let state = if memory::is_on(context) { "on" } else { "off" };
    let mut text = format!("logging is {state}\n{}\n", path.display());
    match SqliteStore::open_existing(path)? {
        None => text.push_str("nothing has been logged yet\n"),
        Some(store) => {
            let n_turns: u64 = store.stats()?.iter().map(|day| day.n_turns).sum();
            let n_bytes = std::fs::metadata(path).map_or(0, |found| found.len());
            let size = wright_host::units::bytes(n_bytes);
            let _ = writeln!(text, "{n_turns} turns, {size}");
        }
    }
    print(&text)
}

fn export(args: &Export, store: &SqliteStore) -> Result<Exit, Failure> {
    let filter = args.chosen.filter(store)?;
    let format = match args.format.as_str() {
        "markdown" => Format::Markdown,
        "html" => Format::Html,
        "llm" => return export_llm(args, &filter, store),
        _ => Format::Jsonl,
    };
    let Some(path) = &args.output else {
        let mut stdout = io::stdout().lock();
        return match store.export(&filter, format, &mut stdout) {
            Ok(_) => Ok(Exit::Done),
            Err(ExportError::Write(error)) if terminal::reader_left(&error) => Ok(Exit::Done),
            Err(error) => Err(exported(error)),
        };
    };
    let mut file = AtomicFile::create(path)?;
    let n_turns = store.export(&filter, format, &mut file).map_err(exported)?;
    file.flush().map_err(|error| Failure::io("write", path, &error))?;
    file.finish()?;
    terminal::note(&format!("{n_turns} turns in {}", path.display()));
    Ok(Exit::Done)
}

fn export_llm(args: &Export, filter: &Filter, store: &SqliteStore) -> Result<Exit, Failure> {
    let Some(path) = &args.output else {
        return Err(Failure::usage("a log for `llm` needs a file").hint("-o FILE names it"));
    };
    let scope = match &filter.conversation {
        Some(id) => Scope::Conversation(id),
        None => Scope::All,
    };
    let rest = Filter { conversation: None, ..filter.clone() };
    if rest != Filter::default() {
        return Err(Failure::usage("a log for `llm` holds everything or one conversation")
            .hint("leave out all filters but --conversation and --current"));
    }
    let report = store.export_llm(path, scope)?;
    terminal::note(&format!(
        "{} conversations, {} turns in {}",
        report.n_conversations,
        report.n_turns,
        path.display()
    ));
    Ok(Exit::Done)
}

fn import(file: &std::path::Path, context: &Context) -> Result<Exit, Failure> {
    let report = memory::open(context)?.import_llm(file, &mut |_, _| {})?;
    for (id, reason) in &report.reasons {
        terminal::note(&format!("skipped {id}: {reason}"));
    }
    print(&format!(
        "{} turns imported, {} were here before, {} skipped; {} messages no longer have the \
         content that was logged\n",
        report.n_turns, report.n_present, report.n_skipped, report.n_changed
    ))
}

fn stats(json: bool, store: &SqliteStore) -> Result<Exit, Failure> {
    use wright_report::{Align, Table};
    let days = store.stats()?;
    if json {
        let lines = days.iter().map(|day| {
            let line = serde_json::json!({"day": format_day(day.day), "model": day.model,
                "provider": day.provider, "turns": day.n_turns,
                "prompt_tokens": day.prompt_tokens,
                "completion_tokens": day.completion_tokens, "cost_usd": day.cost.usd(),
                "seconds": day.duration_ms as f64 / 1000.0});
            format!("{line}\n")
        });
        return print(&lines.collect::<String>());
    }
    let mut table = Table::new([
        ("day", Align::Left),
        ("model", Align::Left),
        ("turns", Align::Right),
        ("prompt", Align::Right),
        ("answer", Align::Right),
        ("cost", Align::Right),
    ]);
    for day in &days {
        table.push([
            format_day(day.day),
            day.model.clone(),
            day.n_turns.to_string(),
            day.prompt_tokens.to_string(),
            day.completion_tokens.to_string(),
            day.cost.to_string(),
        ]);
    }
    print(&table.to_terminal(120))
}

fn exported(error: ExportError) -> Failure {
    match error {
        ExportError::Store(error) => error.into(),
        ExportError::Write(error) => Failure::output(&error),
        other => Failure::new(Exit::Failed, other),
    }
}
