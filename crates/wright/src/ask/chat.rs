//! `wright chat`: a conversation on a terminal, or line by line through a pipe.

mod commands;
mod conversation;
mod lines;
mod transcript;

#[cfg(test)]
mod tests;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags::{AnswerFlags, ModelFlags};
use crate::cli::sampler_flags::SamplerFlags;
use crate::open::context::Context;
use crate::open::load;
use crate::open::memory::{self, Answered, LogFlags};
use crate::terminal::{self, stdin};
use conversation::{Conversation, Editor};
use lines::{Lines, Piped, Terminal};
use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::process::Command;
use wright_chat::{Request, Response};

/// Chat with a model; /help lists the commands
#[derive(Debug, clap::Args)]
pub struct Args {
    /// System prompt: instructions that precede the conversation
    #[arg(short, long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    answer: AnswerFlags,
    /// Print token counts and speed after each answer
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    sampler: SamplerFlags,
    #[command(flatten)]
    log: LogFlags,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut options = args.sampler.options()?;
    options.stop_loops = args.answer.stop_loops();
    let model = load::answering(&args.model, &args.answer, context)?;
    if model.is_base {
        terminal::note(&format!(
            "{} is a base model, not trained for chat: expect odd answers",
            model.id
        ));
    }
    let live = io::stdin().is_terminal() && io::stdout().is_terminal();
    let check = || model.check_unchanged();
    let mut out = io::stdout();
    // All answers of this chat are one conversation of the log.
    let id = RefCell::new(None::<String>);
    let keep = |request: &Request, response: &Response, started_ms: i64| {
        let before = id.borrow().clone();
        let answered = Answered {
            request,
            response,
            model: &model.id,
            started_ms,
            conversation: before.as_deref(),
        };
        if let Some(kept) = memory::keep(&answered, args.log, context) {
            id.replace(Some(kept));
        }
    };
    let mut conversation = Conversation {
        model: &*model.chat,
        interrupt: &context.interrupt,
        out: &mut out,
        editor: live.then_some(edit as Editor),
        system: args.system.clone(),
        messages: Vec::new(),
        options,
        defaults: model.defaults.clone(),
        stats: args.stats,
        check: &check,
        keep: &keep,
    };
    let mut lines: Box<dyn Lines> = match live {
        true => {
            terminal::note(&format!("{}: /help lists commands, Ctrl-D exits", model.id));
            Box::new(Terminal::new(&context.home.history))
        }
        false => Box::new(Piped { from: io::stdin().lock() }),
    };
    conversation.talk(&mut *lines)?;
    Ok(Exit::Done)
}

/// Lets the person change `text` in `$VISUAL` or `$EDITOR`.
fn edit(text: &str) -> Result<String, Failure> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let path = std::env::temp_dir().join(format!("wright-message-{}.txt", std::process::id()));
    let failed = |error: io::Error| Failure::io("write", &path, &error);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
    let ran = Command::new(program).args(words).arg(&path).status();
    let edited = match ran {
        Ok(status) if status.success() => stdin::file(&path),
        Ok(status) => Err(Failure::new(Exit::Failed, format!("{editor} failed ({status})"))),
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot start {editor}: {error}"))
            .hint("set the environment variable EDITOR to an installed editor")),
    };
    // Left behind at worst, in the folder for what may be left behind.
    let _ = std::fs::remove_file(&path);
    edited
}
