//! `wright run`, and `wright "…"`: one prompt, one answer.
//!
//! Text from a pipe is put before the argument and keeps its own origin: it comes from a file, not
//! from the user.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags::{AnswerFlags, ModelFlags};
use crate::cli::sampler_flags::{self, SamplerFlags, with_seed};
use crate::open::context::Context;
use crate::open::load;
use crate::open::memory::{self, Answered, LogFlags};
use crate::terminal::answer::{self, Answer, Show};
use crate::terminal::{self, stdin};
use serde_json::json;
use std::io;
use std::path::Path;
use wright_chat::{Message, Options, Origin, Part, Prompt, Request, Role, Text};
use wright_hub::find;

/// Answer a prompt; `wright "PROMPT"` is short for it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The prompt; text from a pipe is put before it
    #[arg(value_name = "PROMPT")]
    pub prompt: Vec<String>,
    /// System prompt: instructions that precede the conversation
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
    #[command(flatten)]
    pub model: ModelFlags,
    #[command(flatten)]
    pub answer: AnswerFlags,
    /// Continue the prompt as plain text, without the model's chat template
    #[arg(long, conflicts_with = "system")]
    pub raw: bool,
    /// Generate the missing code where the prompt says <FILL>
    #[arg(long, conflicts_with_all = ["system", "raw"])]
    pub fim: bool,
    /// Print the answer when it is complete instead of streaming it
    #[arg(long)]
    pub no_stream: bool,
    /// Print one JSON object: text, finish reason, model, usage and the options used
    #[arg(long)]
    pub json: bool,
    /// Print token counts and speed after the answer
    #[arg(long)]
    pub stats: bool,
    #[command(flatten)]
    pub sampler: SamplerFlags,
    #[command(flatten)]
    pub log: LogFlags,
}

/// Stands where `--fim` is to fill.
const GAP: &str = "<FILL>";

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let piped = stdin::piped()?;
    ask(args, piped, context)
}

/// Answers the prompt in `args` after what came through a pipe.
///
/// # Errors
/// If there is nothing to answer, or the model cannot be opened or fails.
pub fn ask(args: &Args, piped: Option<String>, context: &Context) -> Result<Exit, Failure> {
    if let Some(name) = named_file(&args.prompt) {
        terminal::note(&format!(
            "'{name}' was taken as words of the prompt, not as a file. To ask about its text: \
             cat {name} | wright \"…\""
        ));
    }
    let prompt = prompt(args, piped)?;
    let mut request = Request::new(prompt);
    request.options = with_seed(args.sampler.options()?);
    request.options.stop_loops = args.answer.stop_loops();
    let model = load::answering(&args.model, &args.answer, context)?;
    if model.is_base && !args.raw && !args.fim {
        terminal::note(&format!("{} is a base model; use --raw to continue text", model.id));
    }
    let show = if args.json || args.no_stream { Show::Hold } else { Show::Stream };
    let started_ms = memory::now_ms();
    let answer = answer::ask(&*model.chat, &request, show, &mut io::stdout(), &context.interrupt)?;
    let answered = Answered {
        request: &request,
        response: &answer.response,
        model: &model.id,
        started_ms,
        conversation: None,
    };
    memory::keep(&answered, args.log, context);
    let used = sampler_flags::or_default(&request.options, &model.defaults);
    if show == Show::Hold && !print_whole(args, &model.id, &used, &answer)? {
        return Ok(Exit::Done);
    }
    if let Some(ending) = answer::ending(answer.response.finish, request.options.max_tokens)
        && !args.json
    {
        terminal::note(&ending);
    }
    if args.stats {
        terminal::note(&answer::stats(&answer.response.usage, request.options.seed));
    }
    model.check_unchanged()?;
    match answer.interrupted && !answer.reader_left {
        true => Ok(Exit::Interrupted),
        false => Ok(Exit::Done),
    }
}

/// A word of the prompt that names a file in reach, with a path or an ending like a file's.
fn named_file(words: &[String]) -> Option<&str> {
    let is_file = |word: &&str| {
        word.contains(['.', '/'])
            && !word.contains(char::is_whitespace)
            && Path::new(word).is_file()
    };
    words.iter().map(String::as_str).find(is_file)
}

/// Whether the model goes on from the text as it stands: because it is asked to, or because it was
/// trained from scratch here and nobody taught it to answer.
fn goes_on(args: &Args) -> bool {
    let is_training = args.model.model.as_deref().is_some_and(find::is_training);
    args.raw || is_training && args.system.is_none() && !args.fim
}

/// The prompt out of the pipe and the arguments.
fn prompt(args: &Args, piped: Option<String>) -> Result<Prompt, Failure> {
    let said = args.prompt.join(" ");
    let nothing_said = said.trim().is_empty();
    if nothing_said && piped.is_none() {
        return Err(Failure::usage("no prompt given")
            .hint("use wright \"a question\", pipe text into it, or start `wright chat`"));
    }
    if goes_on(args) {
        // Text to go on from ends where it ends: nothing is added between the two.
        let origin = if nothing_said { Origin::stdin() } else { Origin::User };
        return Ok(Prompt::Raw(Text::new(origin, piped.unwrap_or_default() + &said)));
    }
    if args.fim {
        let origin = if nothing_said { Origin::stdin() } else { Origin::User };
        let whole = piped.unwrap_or_default() + &said;
        let Some((before, after)) = whole.split_once(GAP) else {
            return Err(Failure::usage("the prompt does not mark the gap")
                .hint(format!("write {GAP} where the missing code belongs")));
        };
        let [prefix, suffix] = [before, after].map(|text| Text::new(origin.clone(), text));
        return Ok(Prompt::Fill { prefix, suffix });
    }
    let mut parts = Vec::new();
    if let Some(mut piped) = piped {
        if !nothing_said && !piped.ends_with('\n') {
            piped.push('\n');
        }
        parts.push(Part::text(Origin::stdin(), piped));
    }
    if !nothing_said {
        parts.push(Part::text(Origin::User, said));
    }
    let system = args.system.iter().map(Message::system);
    Ok(Prompt::Chat(system.chain([Message::new(Role::User, parts)]).collect()))
}

/// Prints the whole answer. `false`: the reader left.
fn print_whole(args: &Args, id: &str, options: &Options, answer: &Answer) -> Result<bool, Failure> {
    let response = &answer.response;
    let mut text = response.message.plain_text();
    if args.json {
        let object = json!({
            "text": text,
            "reasoning": response.message.reasoning_text(),
            "finish": response.finish,
            "model": id,
            "usage": response.usage,
            "options": without_nulls(options)?,
        });
        text = object.to_string();
    } else if io::IsTerminal::is_terminal(&io::stdout()) {
        text = terminal::shown(&text).into_owned();
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    terminal::print(&text)
}

/// The options that are set, as JSON.
fn without_nulls(options: &Options) -> Result<serde_json::Value, Failure> {
    let mut value = serde_json::to_value(options)
        .map_err(|error| Failure::new(Exit::Defect, format!("options: {error}")))?;
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        Line::parse_from(["run"].iter().chain(words)).args
    }

    fn chat(prompt: Prompt) -> Vec<Message> {
        match prompt {
            Prompt::Chat(messages) => messages,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_gap_parts_what_is_before_from_what_is_after() {
        match prompt(&args(&["--fim"]), Some("fn f() {<FILL>}\n".into())).unwrap() {
            Prompt::Fill { prefix, suffix } => {
                assert_eq!((prefix.text.as_str(), suffix.text.as_str()), ("fn f() {", "}\n"));
            }
            other => panic!("{other:?}"),
        }
        assert!(prompt(&args(&["--fim", "no gap"]), None).unwrap_err().what.contains("gap"));
    }

    #[test]
    fn a_pipe_goes_before_the_argument_and_keeps_its_origin() {
        let made = prompt(&args(&["-s", "short", "sum", "up"]), Some("a letter".into())).unwrap();
        let messages = chat(made);
        assert_eq!(messages[0], Message::system("short"));
        assert_eq!(messages[1].plain_text(), "a letter\nsum up");
        let origins: Vec<Origin> = messages[1]
            .parts
            .iter()
            .filter_map(Part::as_text)
            .map(|text| text.origin.clone())
            .collect();
        assert_eq!(origins, [Origin::stdin(), Origin::User]);
        let alone = chat(prompt(&args(&[]), Some("a letter".into())).unwrap());
        assert_eq!(alone[0].plain_text(), "a letter");
    }

    #[test]
    fn raw_text_is_not_touched() {
        let made = prompt(&args(&["--raw", "wood"]), Some("How much ".into())).unwrap();
        assert_eq!(made, Prompt::Raw(Text::new(Origin::User, "How much wood")));
    }

    #[test]
    fn a_file_among_the_words_of_a_prompt_is_noticed() {
        let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
        // Tests run in the folder of their crate.
        assert_eq!(named_file(&words(&["Sum up", "Cargo.toml"])), Some("Cargo.toml"));
        assert_eq!(named_file(&words(&["Sum up Cargo.toml"])), None, "a sentence");
        assert_eq!(named_file(&words(&["Sum", "up", "src"])), None, "a word");
    }

    #[test]
    fn nothing_to_answer_is_a_mistake() {
        assert_eq!(prompt(&args(&["  "]), None).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn options_show_only_what_was_set() {
        let options = Options { seed: Some(3), ..Options::default() };
        let shown = without_nulls(&options).unwrap();
        assert_eq!(shown["seed"], 3);
        assert!(shown.get("temperature").is_none());
    }
}
