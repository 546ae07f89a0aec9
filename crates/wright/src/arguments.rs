//! The command line: verbs, the flags that several of them share, and the verb that need not be
//! said (`wright "…"` is `wright run "…"`).

use crate::ask::{chat, logs, run, sql};
use crate::cli::failure::Failure;
use crate::cli::suggest;
use crate::measure::{bench, embed, perplexity, rerank, tokenize};
use crate::models::{convert, imatrix, inspect, manage, pull, quantize};
use crate::train::{pack, plan, shard, tokenizer, training};
use crate::{doctor, help};
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;

/// Run, train and measure language models on your own machine
#[derive(Debug, Parser)]
#[command(
    name = "wright",
    version,
    disable_help_subcommand = true,
    after_help = "`wright \"Why is the sky blue?\"` asks the default model. `wright help COMMAND` \
                  explains a command."
)]
pub struct Line {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Run(run::Args),
    Chat(chat::Args),
    Logs(logs::Args),
    Sql(sql::Args),
    Models(manage::Args),
    Pull(pull::Args),
    Inspect(inspect::Args),
    Embed(embed::Args),
    Rerank(rerank::Args),
    Tokenize(tokenize::Args),
    Perplexity(perplexity::Args),
    Bench(bench::Args),
    Tokenizer(tokenizer::Args),
    Pack(pack::Args),
    Shard(shard::Args),
    Plan(plan::Args),
    Train(training::Args),
    Convert(convert::Args),
    Quantize(quantize::Args),
    Imatrix(imatrix::Args),
    Doctor(doctor::Args),
    Help(help::Args),
}

/// What the command line asks for.
pub enum Asked {
    Verb(Verb),
    /// Text that answers the command line by itself: help or the version.
    Text(String),
    /// Nothing was asked: no argument at all.
    Nothing,
}

/// Reads the command line.
///
/// # Errors
/// If it cannot be understood.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, Failure> {
    let mut words: Vec<OsString> = arguments.into_iter().collect();
    if words.len() <= 1 {
        return Ok(Asked::Nothing);
    }
    let implied = !names_a_verb(&words[1]);
    if implied {
        words.insert(1, OsString::from("run"));
    }
    let line = match Line::try_parse_from(&words) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => return Ok(Asked::Text(error.render().to_string())),
        Err(error) => return Err(mistake(&error)),
    };
    if implied && let Verb::Run(args) = &line.verb {
        check_misspelt(args)?;
    }
    Ok(Asked::Verb(line.verb))
}

/// Every verb's name.
pub fn verbs() -> Vec<String> {
    Line::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

/// Whether the first word says what to do; otherwise it begins a prompt or its flags.
fn names_a_verb(word: &OsString) -> bool {
    let Some(word) = word.to_str() else { return false };
    ["-h", "--help", "-V", "--version"].contains(&word) || verbs().iter().any(|verb| verb == word)
}

/// A prompt of one word that is a verb but for a letter is hardly a question.
fn check_misspelt(args: &run::Args) -> Result<(), Failure> {
    let [word] = args.prompt.as_slice() else { return Ok(()) };
    if word.len() < 3 || word.contains(char::is_whitespace) {
        return Ok(());
    }
    let verbs = verbs();
    match suggest::closest(word, verbs.iter().map(String::as_str), 1) {
        Some(verb) if verb == word => {
            Err(Failure::usage(format!("command '{verb}' must come before flags")).hint(format!(
                "put the command first: wright {verb} …; to use the word as a prompt: wright run \
                 {verb}"
            )))
        }
        Some(verb) => Err(Failure::usage(format!("unknown command '{word}'")).hint(format!(
            "did you mean `wright {verb}`? To use the word as a prompt: wright run {word}"
        ))),
        None => Ok(()),
    }
}

/// The parser's complaint in the form of all others.
fn mistake(error: &clap::Error) -> Failure {
    let rendered = error.render().to_string();
    let mut lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
    let what = lines.next().unwrap_or_default();
    let rest: Vec<&str> = lines.collect();
    let listed = rest.iter().take_while(|line| {
        !line.starts_with("tip:") && !line.starts_with("Usage:") && !line.starts_with("For more")
    });
    let mut what = what.strip_prefix("error: ").unwrap_or(what).to_owned();
    for line in listed {
        what.push(' ');
        what.push_str(line);
    }
    let failure = Failure::usage(what);
    let tip = rest.iter().find_map(|line| line.strip_prefix("tip: "));
    let usage = rest.iter().find_map(|line| line.strip_prefix("Usage: "));
    match (tip, usage) {
        (Some(tip), _) => failure.hint(tip),
        (None, Some(usage)) => failure.hint(format!("usage: {usage} (--help explains it)")),
        (None, None) => failure.hint("`wright --help` lists the commands"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(words: &[&str]) -> Result<Asked, Failure> {
        read(std::iter::once("wright").chain(words.iter().copied()).map(OsString::from))
    }

    fn run_args(words: &[&str]) -> run::Args {
        match ask(words) {
            Ok(Asked::Verb(Verb::Run(args))) => args,
            Ok(_) => panic!("{words:?} is not run"),
            Err(failure) => panic!("{words:?}: {}", failure.what),
        }
    }

    #[test]
    fn the_definitions_are_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn a_bare_prompt_is_run() {
        let bare = run_args(&["Why is the sky blue?"]);
        assert_eq!(bare.prompt, ["Why is the sky blue?"]);
        let flagged = run_args(&["-m", "x.gguf", "-s", "short", "-o", "top_k", "5", "hi"]);
        assert_eq!(flagged.prompt, ["hi"]);
        assert_eq!(flagged.sampler.options().unwrap().top_k, Some(5));
        assert_eq!(run_args(&["run", "chat"]).prompt, ["chat"]);
        assert!(matches!(ask(&[]).unwrap(), Asked::Nothing));
        assert!(matches!(ask(&["--help"]).unwrap(), Asked::Text(_)));
        assert!(matches!(ask(&["models"]).unwrap(), Asked::Verb(Verb::Models(_))));
    }

    #[test]
    fn negative_values_and_pairs_are_read() {
        let args = run_args(&["--presence-penalty", "-1", "--logit-bias", "3=-2", "hi"]);
        let options = args.sampler.options().unwrap();
        assert_eq!(options.presence_penalty, Some(-1.0));
        assert_eq!(options.logit_bias[&3], -2.0);
    }

    #[test]
    fn mistakes_carry_hints() {
        let failed = |words: &[&str]| ask(words).err().unwrap();
        assert!(failed(&["modles"]).hint.unwrap().contains("wright models"));
        assert!(failed(&["-m", "x", "bench"]).hint.unwrap().contains("wright bench"));
        let flag = failed(&["chat", "--thread", "2"]);
        assert!(flag.what.contains("--thread"), "{flag:?}");
        assert!(flag.hint.unwrap().contains("--threads"));
        assert!(failed(&["chat", "--threads", "0"]).what.contains("0"));
        assert!(failed(&["pull"]).what.contains("NAME"));
    }
}
