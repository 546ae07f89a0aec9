//! `wright`: arguments, files and the terminal around the libraries. A file per verb.
//!
//! Data goes to stdout, everything else to stderr. A failure is printed as `error:` and `hint:` and
//! ends with an exit code of its own ([`Exit`]).
#![forbid(unsafe_code)]

mod arguments;
mod ask;
mod cli;
mod doctor;
mod help;
mod measure;
mod models;
mod open;
mod terminal;
mod train;

use arguments::{Asked, Verb};
use ask::{chat, logs, run, sql};
use cli::exit::Exit;
use cli::failure::Failure;
use measure::{bench, embed, perplexity, rerank, tokenize};
use models::{convert, imatrix, inspect, manage, pull, quantize};
use open::context::Context;
use std::process::ExitCode;
use terminal::stdin;
use train::{pack, plan, shard, tokenizer, training};
use wright_host::mmap;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let failure = Failure::new(Exit::Defect, format!("internal error: {panic}"));
        terminal::report(&failure.hint(
            "this is a bug in Wright; please report it with the \
                                        command that caused it",
        ));
    }));
    mmap::exit_when_cut_short(
        "\nerror: the model file was truncated while in use\n\
         hint: wait until the other program has finished writing the file, then ask again\n",
        Exit::ModelChanged.code(),
    );
    match answer_command_line() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal::report(&failure);
            failure.exit.into()
        }
    }
}

fn answer_command_line() -> Result<Exit, Failure> {
    let verb = match arguments::read(std::env::args_os())? {
        Asked::Verb(verb) => verb,
        Asked::Text(text) => {
            terminal::print(&text)?;
            return Ok(Exit::Done);
        }
        Asked::Nothing => return without_arguments(),
    };
    if let Verb::Help(args) = &verb {
        return help::main(args, arguments::parser());
    }
    let context = Context::find()?;
    match &verb {
        Verb::Run(args) => run::main(args, &context),
        Verb::Chat(args) => chat::main(args, &context),
        Verb::Logs(args) => logs::main(args, &context),
        Verb::Sql(args) => sql::main(args, &context),
        Verb::Models(args) => manage::main(args, &context),
        Verb::Pull(args) => pull::main(args, &context),
        Verb::Inspect(args) => inspect::main(args, &context),
        Verb::Embed(args) => embed::main(args, &context),
        Verb::Rerank(args) => rerank::main(args, &context),
        Verb::Tokenize(args) => tokenize::main(args, &context),
        Verb::Perplexity(args) => perplexity::main(args, &context),
        Verb::Bench(args) => bench::main(args, &context),
        Verb::Tokenizer(args) => tokenizer::main(args, &context),
        Verb::Pack(args) => pack::main(args, &context),
        Verb::Shard(args) => shard::main(args),
        Verb::Plan(args) => plan::main(args, &context),
        Verb::Train(args) => training::main(args, &context),
        Verb::Convert(args) => convert::main(args, &context),
        Verb::Quantize(args) => quantize::main(args, &context),
        Verb::Imatrix(args) => imatrix::main(args, &context),
        Verb::Doctor(args) => doctor::main(args, &context),
        Verb::Help(args) => help::main(args, arguments::parser()),
    }
}

/// `wright` with nothing after it: answers what comes through a pipe, or explains itself.
fn without_arguments() -> Result<Exit, Failure> {
    let context = Context::find()?;
    let piped = stdin::piped()?;
    let run = ["wright", "run"].map(Into::into);
    match (piped, arguments::read(run)?) {
        (Some(text), Asked::Verb(Verb::Run(args))) => run::ask(&args, Some(text), &context),
        _ => {
            terminal::print(&help::screen(&context.default_model().0))?;
            Ok(Exit::Done)
        }
    }
}
