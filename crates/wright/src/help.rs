//! `wright help`: the verbs, one verb at length, or the exit codes; and the screen that `wright`
//! alone shows.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::suggest;
use crate::terminal;
use clap::Command;

/// Explain a verb or the exit codes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A verb, or `exit-codes`
    #[arg(value_name = "VERB|exit-codes")]
    topic: Option<String>,
}

/// Explains what `args` asks for, out of the definition of the whole command line.
///
/// # Errors
/// If there is no such verb, or stdout fails.
pub fn main(args: &Args, mut line: Command) -> Result<Exit, Failure> {
    let text = match args.topic.as_deref() {
        None => line.render_long_help().to_string(),
        Some("exit-codes") => exit_codes(),
        Some(topic) => {
            line.build();
            match line.find_subcommand_mut(topic) {
                Some(verb) => verb.render_long_help().to_string(),
                None => return Err(unknown(topic, &line)),
            }
        }
    };
    terminal::print(&text)?;
    Ok(Exit::Done)
}

fn unknown(topic: &str, line: &Command) -> Failure {
    let verbs = line.get_subcommands().map(|verb| verb.get_name().to_owned());
    let topics: Vec<String> = verbs.chain(["exit-codes".to_owned()]).collect();
    let failure = Failure::usage(format!("no help on '{topic}'"));
    match suggest::closest(topic, topics.iter().map(String::as_str), 3) {
        Some(close) => failure.hint(format!("did you mean `wright help {close}`?")),
        None => failure.hint(format!("there is help on {}", topics.join(", "))),
    }
}

fn exit_codes() -> String {
    let rows = Exit::ALL.iter().map(|exit| format!("{:>4}  {}\n", exit.code(), exit.meaning()));
    std::iter::once("Exit codes:\n".to_owned()).chain(rows).collect()
}

/// What `wright` says when nothing is asked: a screen of 80 × 24.
pub fn screen(default_model: &str) -> String {
    format!(
        "\
Wright runs and trains language models on your own machine.

  wright \"Why is the sky blue?\"        ask the default model
  wright -s \"Answer in French\" \"Hi\"    with a system prompt
  cat letter.txt | wright \"Sum it up\"  a file first, then what to do with it
  wright -m FILE.gguf \"Hi\"             any GGUF file
  wright chat                          talk; /help inside

  wright models                        what there is; default, alias, remove, du
  wright pull NAME|org/repo:Q4_K_M     fetch one; wright doctor finds faults
  wright inspect FILE                  what a model file holds and costs
  wright tokenize \"text\"               as models see it; wright tokenizer train
  wright embed \"text\"                  vectors; wright rerank orders texts
  wright perplexity FILE.txt           how well a model knows a text
  wright bench                         how fast it is here
  wright convert FOLDER                safetensors to a .gguf file
  wright quantize MODEL Q4_K_M         smaller files, better with wright imatrix
  wright pack FOLDER -o data           texts to data to train on; wright shard
  wright plan DATA, wright train DATA  a model of your own from them

  wright help VERB, wright help exit-codes

The default model is {default_model}.
It is fetched when it is first needed. Nothing you ask leaves this machine.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_fits_a_small_terminal_and_names_every_verb() {
        let screen = screen("smollm2-135m-instruct");
        assert!(screen.lines().count() <= 24);
        assert!(screen.lines().all(|line| line.chars().count() <= 80));
        for verb in crate::arguments::verbs() {
            assert!(verb == "run" || screen.contains(&format!("wright {verb}")), "{verb}");
        }
    }

    #[test]
    fn every_exit_code_is_in_the_table() {
        let table = exit_codes();
        for exit in Exit::ALL {
            assert!(table.contains(&format!("{:>4}  {}", exit.code(), exit.meaning())));
        }
    }
}
