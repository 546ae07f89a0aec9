//! `wright`: arguments, files and the terminal around the libraries. A file per verb.
//!
//! Data goes to stdout and talk to stderr. A failure is printed as `error:` and `hint:` and ends
//! with an exit code of its own ([`exit::Exit`]).
#![forbid(unsafe_code)]

mod about;
mod answer;
mod arguments;
mod bench;
mod catalogue;
mod chart;
mod chat;
mod check;
mod context;
mod convert;
mod data_folder;
mod doctor;
mod embed;
mod exit;
mod failure;
mod help;
mod home;
mod imatrix;
mod inspect;
mod lexicon;
mod load;
mod locate;
mod models;
mod pack;
mod perplexity;
mod plan;
mod prefix_cache;
mod progress;
mod pull;
mod quantize;
mod reading;
mod reference;
mod rerank;
mod run;
mod sampler_options;
mod settings;
mod shard;
mod spelling;
mod stdin;
mod stores;
mod terminal;
mod tokenize;
mod tokenizer;
mod train;

use arguments::{Asked, Verb};
use context::Context;
use exit::Exit;
use failure::Failure;
use std::process::ExitCode;
use wright_host::mmap;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let failure = Failure::new(Exit::Defect, format!("a defect in Wright: {panic}"));
        terminal::report(&failure.hint("please report it, with the command that led here"));
    }));
    mmap::exit_when_cut_short(
        "\nerror: the model file was cut short while it was in use\n\
         hint: let whatever writes the file finish, then ask again\n",
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
        Asked::Nothing => return run::without_arguments(),
    };
    if let Verb::Help(args) = &verb {
        return help::main(args);
    }
    let context = Context::find()?;
    match &verb {
        Verb::Run(args) => run::main(args, &context),
        Verb::Chat(args) => chat::main(args, &context),
        Verb::Models(args) => models::main(args, &context),
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
        Verb::Train(args) => train::main(args, &context),
        Verb::Convert(args) => convert::main(args, &context),
        Verb::Quantize(args) => quantize::main(args, &context),
        Verb::Imatrix(args) => imatrix::main(args, &context),
        Verb::Doctor(args) => doctor::main(args, &context),
        Verb::Help(args) => help::main(args),
    }
}
