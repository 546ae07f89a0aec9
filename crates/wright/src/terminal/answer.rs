//! An answer on its way to the person: piece by piece, stopped by Ctrl-C or by a reader who left.

use crate::cli::failure::Failure;
use crate::terminal::{self, Wrapper};
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use wright_chat::{Cancel, Event, FinishReason, Model, Request, Response, Sink, Usage};
use wright_host::{Interrupt, units};

/// Prompts of fewer tokens are read before anybody could read a progress line.
const PREFILL_SHOWN_TOKENS: u32 = 512;

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Each piece at once.
    Stream,
    /// Nothing: the caller prints the whole.
    Hold,
}

/// A finished answer, and whether whoever read it still does.
#[derive(Debug)]
pub struct Answer {
    pub response: Response,
    pub reader_left: bool,
    pub interrupted: bool,
}

/// Asks `model` and shows the answer on `out` as it comes.
///
/// # Errors
/// If the model fails, or `out` cannot be written to though somebody reads it.
pub fn ask(
    model: &dyn Model,
    request: &Request,
    show: Show,
    out: &mut dyn Write,
    interrupt: &Interrupt,
) -> Result<Answer, Failure> {
    let live = terminal::stderr_is_live();
    let clean = io::stdout().is_terminal();
    let mut printer = Printer {
        out,
        interrupt,
        show,
        clean,
        live,
        line_open: false,
        text_lines: Wrapper::new(clean.then(terminal::stdout_width)),
        reasoning_lines: Wrapper::new(live.then(|| terminal::width(&io::stderr()))),
        reasoning_open: false,
        ended_line: true,
        failed: None,
    };
    let responded = model.respond(request, &Cancel::new(), &mut printer);
    printer.close_line();
    let rest = printer.text_lines.finish();
    printer.write(&rest);
    if printer.show == Show::Stream && !printer.ended_line && printer.failed.is_none() {
        printer.write("\n");
    }
    let failed = printer.failed.take();
    let interrupted = interrupt.is_set();
    let response = responded?;
    match failed {
        Some(error) if !terminal::reader_left(&error) => Err(Failure::output(&error)),
        reader_left => Ok(Answer { response, reader_left: reader_left.is_some(), interrupted }),
    }
}

/// The sink behind [`ask`].
struct Printer<'a> {
    out: &'a mut dyn Write,
    interrupt: &'a Interrupt,
    show: Show,
    /// Whether a terminal reads the answer: then its control characters are not passed on.
    clean: bool,
    /// Whether stderr can show a line that comes and goes.
    live: bool,
    /// Whether such a line is shown now.
    line_open: bool,
    /// Where the lines of the answer and of the reasoning end.
    text_lines: Wrapper,
    reasoning_lines: Wrapper,
    reasoning_open: bool,
    /// Whether the answer so far ends in a newline, or is empty.
    ended_line: bool,
    failed: Option<io::Error>,
}

impl Printer<'_> {
    fn write(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        if let Err(error) = written {
            self.failed = Some(error);
        }
    }

    fn text(&mut self, text: &str) {
        self.close_line();
        if self.show == Show::Stream && !text.is_empty() {
            let shown = if self.clean { terminal::shown(text) } else { text.into() };
            let lines = self.text_lines.push(&shown);
            self.write(&lines);
            self.ended_line = text.ends_with('\n');
        }
    }

    fn reasoning(&mut self, text: &str) {
        self.close_progress();
        if self.show == Show::Stream {
            let lines = self.reasoning_lines.push(&terminal::shown(text));
            let _ = write!(io::stderr(), "{}", terminal::faint(&lines));
            self.reasoning_open = !text.ends_with('\n');
        }
    }

    fn progress(&mut self, done: u32, total: u32) {
        if self.live && self.show == Show::Stream && total >= PREFILL_SHOWN_TOKENS {
            let percent = u64::from(done) * 100 / u64::from(total);
            let line = terminal::faint(&format!("processing the prompt: {percent}%"));
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
            self.line_open = true;
        }
    }

    fn close_progress(&mut self) {
        if std::mem::take(&mut self.line_open) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// Ends whatever stands on stderr's current line.
    fn close_line(&mut self) {
        self.close_progress();
        if std::mem::take(&mut self.reasoning_open) {
            let rest = self.reasoning_lines.finish();
            let _ = writeln!(io::stderr(), "{}", terminal::faint(&rest));
        }
    }
}

impl Sink for Printer<'_> {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Text { text } => self.text(&text),
            Event::Reasoning { text } => self.reasoning(&text),
            Event::Prefill { done, total } => self.progress(done, total),
            Event::Notice { text } => {
                self.close_line();
                terminal::note(&text);
            }
            // Nobody offered tools; the tokens stand in the response.
            Event::ToolCall { .. } | Event::Token { .. } => {}
        }
        if self.failed.is_some() || self.interrupt.is_set() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// `34 prompt tokens (12 cached) in 0.1 s (280.1/s), 120 generated in 1.1 s (109.0/s), seed 7`.
pub fn stats(usage: &Usage, seed: Option<u64>) -> String {
    let read = u64::from(usage.prompt_tokens.saturating_sub(usage.cached_tokens));
    let cached = match usage.cached_tokens {
        0 => String::new(),
        n => format!(" ({n} cached)"),
    };
    // The first token comes out of the pass that reads the prompt.
    let decoded = u64::from(usage.completion_tokens.saturating_sub(1));
    let seed = seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
    let drafts = match usage.accepted_draft_tokens {
        0 => String::new(),
        n => format!(", {n} from speculative decoding"),
    };
    format!(
        "{} prompt tokens{cached} in {} ({}/s), {} generated in {} ({}/s{drafts}){seed}",
        usage.prompt_tokens,
        units::seconds(usage.prefill_s),
        units::rate(read, usage.prefill_s),
        usage.completion_tokens,
        units::seconds(usage.decode_s),
        units::rate(decoded, usage.decode_s),
    )
}

/// What to say about an ending that the person may not expect.
pub fn ending(finish: FinishReason, max_tokens: Option<u32>) -> Option<String> {
    match (finish, max_tokens) {
        (FinishReason::MaxTokens, Some(n)) => Some(format!("the answer ended at --max-tokens {n}")),
        (FinishReason::ContextFull, _) => Some(
            "the answer ended because the context is full; a larger --ctx may help, if the model \
             allows it"
                .to_owned(),
        ),
        (FinishReason::Loop, _) => Some(
            "the answer was stopped because it repeated itself; --no-loop-stop lets it run"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use wright_chat::{Error, ErrorKind, FakeModel, FakeReply, Message};

    fn request() -> Request {
        Request::chat(vec![Message::user("hi")])
    }

    struct Closed(io::ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_is_streamed_and_ends_its_line() {
        let model = FakeModel::new([FakeReply::say("one two"), FakeReply::say("three\n")]);
        let (mut out, interrupt) = (Vec::new(), Interrupt::default());
        ask(&model, &request(), Show::Stream, &mut out, &interrupt).unwrap();
        ask(&model, &request(), Show::Stream, &mut out, &interrupt).unwrap();
        assert_eq!(out, b"one two\nthree\n");
    }

    #[test]
    fn a_held_answer_prints_nothing() {
        let model = FakeModel::new([FakeReply::say("one two")]);
        let (mut out, interrupt) = (Vec::new(), Interrupt::default());
        let answer = ask(&model, &request(), Show::Hold, &mut out, &interrupt).unwrap();
        assert!(out.is_empty());
        assert_eq!(answer.response.message.plain_text(), "one two");
    }

    #[test]
    fn ctrl_c_keeps_what_was_said() {
        let model = FakeModel::new([FakeReply::say("one two three")]);
        let (mut out, interrupt) = (Vec::new(), Interrupt::default());
        interrupt.set();
        let answer = ask(&model, &request(), Show::Stream, &mut out, &interrupt).unwrap();
        assert!(answer.interrupted);
        assert_eq!(answer.response.finish, FinishReason::Cancelled);
        assert_eq!(out, b"one \n");
    }

    #[test]
    fn a_closed_pipe_is_not_an_error_but_a_full_disk_is() {
        let model = FakeModel::new([FakeReply::say("one two"), FakeReply::say("three four")]);
        let interrupt = Interrupt::default();
        let mut left = Closed(io::ErrorKind::BrokenPipe);
        let answer = ask(&model, &request(), Show::Stream, &mut left, &interrupt).unwrap();
        assert!(answer.reader_left);
        assert_eq!(answer.response.message.plain_text(), "one ", "it stopped at once");
        let mut full = Closed(io::ErrorKind::StorageFull);
        let failure = ask(&model, &request(), Show::Stream, &mut full, &interrupt).unwrap_err();
        assert_eq!(failure.exit, Exit::Io);
    }

    #[test]
    fn a_failing_model_is_a_failure() {
        let error = Error::new(ErrorKind::ContextOverflow, "too long");
        let model = FakeModel::new([FakeReply::Fail(error)]);
        let interrupt = Interrupt::default();
        let failed = ask(&model, &request(), Show::Stream, &mut Vec::new(), &interrupt);
        assert_eq!(failed.unwrap_err().exit, Exit::ContextOverflow);
    }

    #[test]
    fn stats_leave_cached_tokens_out_of_the_rate() {
        let usage = Usage {
            prompt_tokens: 100,
            cached_tokens: 50,
            completion_tokens: 11,
            prefill_s: 0.5,
            decode_s: 2.0,
            ..Usage::default()
        };
        assert_eq!(
            stats(&usage, Some(7)),
            "100 prompt tokens (50 cached) in 500 ms (100.0/s), 11 generated in 2.0 s (5.0/s), \
             seed 7"
        );
    }
}
