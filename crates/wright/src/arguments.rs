//! The command line: verbs, the flags that several of them share, and the verb that need not be
//! said (`wright "…"` is `wright run "…"`).

use crate::ask::{chat, logs, run, sql};
use crate::cli::failure::Failure;
use crate::cli::suggest;
use crate::measure::{bench, embed, perplexity, rerank, tokenize};
use crate::models::{convert, imatrix, inspect, manage, pull, quantize};
use crate::train::{pack, plan, shard, tokenizer, training};
use crate::{doctor, help};
use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;
use wright_hub::catalogue::Catalogue;

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

#[allow(clippy::large_enum_variant)] // read once a run, from the command line
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
#[allow(clippy::large_enum_variant)] // read once a run, from the command line
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
        check_misspelt(&words[1..])?;
        words.insert(1, OsString::from("run"));
    }
    match parser().try_get_matches_from(&words).and_then(|found| Line::from_arg_matches(&found)) {
        Ok(line) => Ok(Asked::Verb(line.verb)),
        Err(error) if !error.use_stderr() => Ok(Asked::Text(error.render().to_string())),
        Err(error) => Err(mistake(&error)),
    }
}

/// The command line's definition. Of an option that is given twice, the last holds.
pub fn parser() -> Command {
    Line::command().args_override_self(true)
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

/// Refuses what was hardly meant as a prompt: a word that is one edit away from a verb and is
/// followed by nothing, or by what that verb takes: its sub-commands and flags, a file, or a model
/// of the catalogue. `wright plane crash` is a prompt.
fn check_misspelt(words: &[OsString]) -> Result<(), Failure> {
    let words: Vec<&str> = words.iter().map_while(|word| word.to_str()).collect();
    let verbs = verbs();
    let closest = |word: &str| {
        let is_word = word.len() >= 3 && word.chars().all(|c| c.is_alphanumeric() || c == '-');
        let names = verbs.iter().map(String::as_str);
        suggest::closest(word, names, 1).filter(|_| is_word).map(str::to_owned)
    };
    let Some((&first, rest)) = words.split_first() else { return Ok(()) };
    if first.starts_with('-') {
        return match words.iter().rposition(|word| verbs.iter().any(|verb| verb == word)) {
            Some(at) if at + 1 == words.len() && !words.contains(&"--") => {
                after_a_flag(words[at], words[at - 1])
            }
            _ => Ok(()),
        };
    }
    match closest(first) {
        Some(verb) if rest.first().is_none_or(|word| belongs_to(&verb, word)) => {
            let command = [&[verb.as_str()], rest].concat().join(" ");
            let prompt = words.join(" ");
            Err(Failure::usage(format!("there is no command '{first}'")).hint(format!(
                "did you mean `wright {command}`? To ask the model: wright -- {prompt}"
            )))
        }
        _ => Ok(()),
    }
}

/// A verb at the end of flags, unless it is the value of the last one.
fn after_a_flag(verb: &str, before: &str) -> Result<(), Failure> {
    let run = parser();
    let takes_value = |arg: &clap::Arg| {
        let is_it = arg.get_long().is_some_and(|long| before == format!("--{long}"))
            || arg.get_short().is_some_and(|short| before == format!("-{short}"));
        is_it && arg.get_action().takes_values()
    };
    let run = run.find_subcommand("run");
    if run.is_some_and(|run| run.get_arguments().any(takes_value)) {
        return Ok(());
    }
    Err(Failure::usage(format!("the command '{verb}' comes after an option"))
        .hint(format!("put the command first: wright {verb} …; to ask the word: wright -- {verb}")))
}

/// Whether `verb` could take `word` as its first argument.
fn belongs_to(verb: &str, word: &str) -> bool {
    let parser = parser();
    let Some(verb) = parser.find_subcommand(verb) else { return false };
    let is_flag = |arg: &clap::Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long.split('=').next().unwrap_or(long)),
        None => arg.get_short().is_some_and(|short| word.starts_with(&format!("-{short}"))),
    };
    let takes_files = verb.get_positionals().next().is_some();
    let is_known = |word: &str| Catalogue::built_in().is_ok_and(|all| all.find(word).is_some());
    ["-h", "--help"].contains(&word)
        || verb.find_subcommand(word).is_some()
        || word.starts_with('-') && verb.get_arguments().any(is_flag)
        || takes_files && (Path::new(word).exists() || is_known(word))
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
    fn a_prompt_may_begin_with_a_word_like_a_verb() {
        for words in [
            &["plane", "crash", "statistics"][..],
            &["trains", "in", "Japan"],
            &["--", "modles", "list"],
            &["--", "models"],
            &["plane crash"],
            &["-s", "chat", "hi"],
        ] {
            assert!(!run_args(words).prompt.is_empty(), "{words:?}");
        }
        // The value of an option is not a verb that came too late.
        assert_eq!(run_args(&["hi", "-s", "chat"]).prompt, ["hi"]);
        assert_eq!(run_args(&["-s", "chat"]).system.as_deref(), Some("chat"));
    }

    #[test]
    fn of_an_option_given_twice_the_last_holds() {
        let args = run_args(&["--json", "--seed", "1", "--json", "--seed", "2", "hi"]);
        assert!(args.json);
        assert_eq!(args.sampler.options().unwrap().seed, Some(2));
        let both = run_args(&["--stop", "a", "--stop", "b", "hi"]);
        assert_eq!(both.sampler.options().unwrap().stop, ["a", "b"]);
        let twice = ["models", "--json", "--json"];
        assert!(matches!(ask(&twice), Ok(Asked::Verb(Verb::Models(_)))));
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
        for (words, right) in [
            (&["modles"][..], "`wright models`"),
            (&["modles", "list"], "`wright models list`"),
            (&["insepct", "Cargo.toml"], "`wright inspect Cargo.toml`"),
            (&["pul", "gemma-3-270m"], "`wright pull gemma-3-270m`"),
            (&["chatt", "-m", "smollm2"], "`wright chat -m smollm2`"),
            (&["helpp", "--help"], "`wright help --help`"),
        ] {
            let hint = failed(words).hint.unwrap();
            assert!(hint.contains(right), "{words:?}: {hint}");
            assert!(hint.contains(&format!("wright -- {}", words.join(" "))), "{hint}");
        }
        assert!(failed(&["-m", "x", "bench"]).hint.unwrap().contains("wright bench"));
        let flag = failed(&["chat", "--thread", "2"]);
        assert!(flag.what.contains("--thread"), "{flag:?}");
        assert!(flag.hint.unwrap().contains("--threads"));
        assert!(failed(&["chat", "--threads", "0"]).what.contains("0"));
        assert!(failed(&["pull"]).what.contains("NAME"));
    }
}
