//! The loop of a chat over any model: read a message or a command, answer, remember.

use super::commands::{self, Command};
use super::lines::{Lines, Read};
use super::transcript::{self, Format, Transcript};
use crate::cli::failure::Failure;
use crate::cli::sampler_flags;
use crate::open::memory;
use crate::terminal;
use crate::terminal::answer::{self, Show};
use std::io::Write;
use std::path::Path;
use wright_chat::{Message, Model, Options, Request, Response, Role};
use wright_host::{Interrupt, units};

/// Lets the person change a text, and gives back what became of it.
pub type Editor = fn(&str) -> Result<String, Failure>;

/// A chat in progress.
pub struct Conversation<'a> {
    pub model: &'a dyn Model,
    pub interrupt: &'a Interrupt,
    pub out: &'a mut dyn Write,
    /// `None` where there is no terminal.
    pub editor: Option<Editor>,
    pub system: Option<String>,
    /// Without the system prompt.
    pub messages: Vec<Message>,
    pub options: Options,
    /// What the model takes where `options` sets nothing.
    pub defaults: Options,
    pub stats: bool,
    /// Check after each answer that the model is still the one that was loaded.
    pub check: &'a dyn Fn() -> Result<(), Failure>,
    /// Logs each answer with its request and the time of the request.
    pub keep: &'a dyn Fn(&Request, &Response, i64),
}

/// Whether the chat goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    On,
    Leave,
}

impl Conversation<'_> {
    /// Talks until the person leaves or nobody reads any more.
    ///
    /// # Errors
    /// If messages cannot be read or answers cannot be written. A model that fails to answer one
    /// message does not end the chat on a terminal; the failure is said. From a pipe it does.
    pub fn talk(&mut self, lines: &mut dyn Lines) -> Result<(), Failure> {
        let mut asked_to_leave = false;
        loop {
            let message = match lines.read()? {
                Read::Message(message) => message,
                Read::End => return Ok(()),
                Read::Interrupt if asked_to_leave => return Ok(()),
                Read::Interrupt => {
                    asked_to_leave = true;
                    terminal::note("press Ctrl-C again, Ctrl-D or type /exit to exit");
                    continue;
                }
            };
            asked_to_leave = false;
            // An editor that is started reads the keyboard itself.
            if !message.starts_with("/edit") {
                lines.keep_typing(self.interrupt);
            }
            match self.take(&message) {
                Ok(Next::On) => {}
                Ok(Next::Leave) => return Ok(()),
                Err(failure) if self.editor.is_some() => terminal::report(&failure),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// One message or command.
    fn take(&mut self, message: &str) -> Result<Next, Failure> {
        if message.trim().is_empty() {
            return Ok(Next::On);
        }
        if let Some(escaped) = message.strip_prefix("//") {
            return self.say(&format!("/{escaped}"));
        }
        if !message.starts_with('/') {
            return self.say(message);
        }
        match commands::parse(message) {
            Ok(command) => self.obey(command),
            Err(why) => Err(Failure::usage(why)),
        }
    }

    fn obey(&mut self, command: Command) -> Result<Next, Failure> {
        match command {
            Command::Help => terminal::note(&format!("\n{}", commands::help())),
            Command::System(None) => match &self.system {
                Some(system) => terminal::note(&format!("system prompt: {system}")),
                None => terminal::note("no system prompt is set"),
            },
            Command::System(Some(text)) => {
                self.system = Some(text);
                terminal::note("takes effect with the next message");
            }
            Command::Reset => {
                self.messages.clear();
                terminal::note("conversation cleared");
            }
            Command::Save(path) => self.save(Path::new(&path))?,
            Command::Load(path) => self.load(Path::new(&path))?,
            Command::Set(None) => self.show_options(),
            Command::Set(Some((name, value))) => {
                sampler_flags::set(&mut self.options, &name, &value)?;
            }
            Command::Stats => {
                self.stats = !self.stats;
                terminal::note(if self.stats { "statistics on" } else { "statistics off" });
            }
            Command::Retry => {
                let last = self.take_back()?;
                return self.say(&last);
            }
            Command::Edit => return self.edit(),
            Command::Exit => return Ok(Next::Leave),
        }
        Ok(Next::On)
    }

    /// Asks `text` after all that was said, and shows the answer. A question that fails is not
    /// remembered; an answer that was stopped is, as far as it came.
    fn say(&mut self, text: &str) -> Result<Next, Failure> {
        self.messages.push(Message::user(text));
        let system = self.system.iter().map(Message::system);
        let mut request = Request::chat(system.chain(self.messages.iter().cloned()).collect());
        // Without a seed each message gets a fresh one: a retry should say something else.
        request.options = sampler_flags::with_seed(self.options.clone());
        self.interrupt.clear();
        let started_ms = memory::now_ms();
        let asked = answer::ask(self.model, &request, Show::Stream, self.out, self.interrupt);
        self.interrupt.clear();
        let answer = match asked {
            Ok(answer) => answer,
            Err(failure) => {
                self.messages.pop();
                return Err(failure);
            }
        };
        (self.keep)(&request, &answer.response, started_ms);
        if answer.interrupted {
            terminal::note("stopped");
        }
        if let Some(ending) = answer::ending(answer.response.finish, request.options.max_tokens) {
            terminal::note(&ending);
        }
        if self.stats {
            terminal::note(&answer::stats(&answer.response.usage, request.options.seed));
        }
        self.messages.push(answer.response.message);
        (self.check)()?;
        match answer.reader_left {
            true => Ok(Next::Leave),
            false => Ok(Next::On),
        }
    }

    /// Takes the last message of the person, and all after it, out of the conversation.
    fn take_back(&mut self) -> Result<String, Failure> {
        let last = self.messages.iter().rposition(|message| message.role == Role::User);
        let Some(last) = last else {
            return Err(Failure::usage("there are no messages yet"));
        };
        let text = self.messages[last].plain_text();
        self.messages.truncate(last);
        Ok(text)
    }

    fn edit(&mut self) -> Result<Next, Failure> {
        let Some(editor) = self.editor else {
            return Err(Failure::usage("/edit needs a terminal"));
        };
        let kept = self.messages.clone();
        let last = self.take_back()?;
        let edited = editor(&last).map(|text| text.trim_end().to_owned());
        match edited {
            Ok(text) if !text.is_empty() => self.say(&text),
            unchanged => {
                self.messages = kept;
                unchanged.map(|_| Next::On)
            }
        }
    }

    fn show_options(&self) {
        let values = |options| serde_json::to_value(options).unwrap_or_default();
        let (set, defaults) = (values(&self.options), values(&self.defaults));
        let is_set = |value: &&serde_json::Value| match value {
            serde_json::Value::Array(list) => !list.is_empty(),
            serde_json::Value::Object(map) => !map.is_empty(),
            value => !value.is_null(),
        };
        for definition in &sampler_flags::TABLE {
            let name = definition.name.replace('-', "_");
            let shown = match (set.get(&name).filter(is_set), defaults.get(&name).filter(is_set)) {
                (Some(value), _) => value.to_string(),
                (None, Some(value)) => format!("{value} (default)"),
                (None, None) => definition.unset.to_owned(),
            };
            terminal::note(&format!("{:20} {shown}", definition.name));
        }
    }

    fn save(&self, path: &Path) -> Result<(), Failure> {
        let system = self.system.iter().map(Message::system);
        let transcript = Transcript {
            format: Format::Chat1,
            model: self.model.describe().id,
            options: self.options.clone(),
            messages: system.chain(self.messages.iter().cloned()).collect(),
        };
        transcript::save(path, &transcript)?;
        terminal::note(&format!("saved to {}", path.display()));
        Ok(())
    }

    fn load(&mut self, path: &Path) -> Result<(), Failure> {
        let transcript = transcript::load(path)?;
        let (system, messages): (Vec<Message>, Vec<Message>) =
            transcript.messages.into_iter().partition(|message| message.role == Role::System);
        self.system = system.first().map(Message::plain_text);
        self.messages = messages;
        self.options = transcript.options;
        let n = units::number_of(self.messages.len() as u64, "message");
        terminal::note(&format!("loaded {n} from {}", path.display()));
        Ok(())
    }
}
