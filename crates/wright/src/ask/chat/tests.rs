//! The loop of a chat, over a model that says what it is told to.

use super::conversation::Conversation;
use super::lines::{Lines, Piped, Read};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use std::collections::VecDeque;
use std::io::{self, Write};
use wright_chat::{Error, ErrorKind, FakeModel, FakeReply, Message, Options, Prompt, Request};
use wright_host::Interrupt;

/// What a chat left behind.
struct Talked {
    said: String,
    asked: Vec<Vec<Message>>,
    requests: Vec<Request>,
    messages: Vec<Message>,
    ended: Result<(), Failure>,
}

fn talk(turns: Vec<FakeReply>, lines: &mut dyn Lines) -> Talked {
    let model = FakeModel::new(turns);
    let interrupt = Interrupt::default();
    let mut out = Vec::new();
    let mut conversation = conversation(&model, &interrupt, &mut out);
    let ended = conversation.talk(lines);
    let messages = std::mem::take(&mut conversation.messages);
    let requests = model.requests();
    let asked = requests.iter().map(|request| match &request.prompt {
        Prompt::Chat(messages) => messages.clone(),
        other => panic!("{other:?}"),
    });
    let asked = asked.collect();
    Talked { said: String::from_utf8(out).unwrap(), asked, requests, messages, ended }
}

fn conversation<'a>(
    model: &'a FakeModel,
    interrupt: &'a Interrupt,
    out: &'a mut dyn Write,
) -> Conversation<'a> {
    Conversation {
        model,
        interrupt,
        out,
        editor: None,
        system: Some("be brief".into()),
        messages: Vec::new(),
        options: Options::default(),
        defaults: Options::default(),
        stats: false,
        check: &|| Ok(()),
        keep: &|_, _, _| {},
    }
}

fn piped(turns: Vec<FakeReply>, text: &str) -> Talked {
    talk(turns, &mut Piped { from: text.as_bytes() })
}

#[test]
fn each_message_carries_all_that_was_said() {
    let talked = piped(vec![FakeReply::say("one"), FakeReply::say("two")], "first\nsecond\n");
    talked.ended.unwrap();
    assert_eq!(talked.said, "one\ntwo\n");
    let expected = [
        Message::system("be brief"),
        Message::user("first"),
        Message::assistant("one"),
        Message::user("second"),
    ];
    assert_eq!(talked.asked[1], expected);
}

#[test]
fn reset_retry_and_system_change_what_is_asked() {
    let turns = ["one", "two", "three"].map(FakeReply::say).to_vec();
    let talked = piped(turns, "first\n/retry\n/reset\n/system be kind\n//path\n/exit\nnever\n");
    talked.ended.unwrap();
    assert_eq!(talked.asked[1], [Message::system("be brief"), Message::user("first")]);
    assert_eq!(talked.asked[2], [Message::system("be kind"), Message::user("/path")]);
    assert_eq!(talked.asked.len(), 3);
    let seeds: Vec<_> = talked.requests.iter().map(|request| request.options.seed).collect();
    assert_ne!(seeds[0], seeds[1], "a retry draws again");
}

#[test]
fn options_are_set_for_the_messages_that_follow() {
    let turns = vec![FakeReply::say("one"), FakeReply::say("two")];
    let talked = piped(turns, "a\n/set temperature 0.25\n/set seed 9\nb\n");
    talked.ended.unwrap();
    assert_eq!(talked.requests[0].options.temperature, None);
    assert_eq!(talked.requests[1].options.temperature, Some(0.25));
    assert_eq!(talked.requests[1].options.seed, Some(9));
}

#[test]
fn a_question_that_failed_is_not_remembered() {
    let error = Error::new(ErrorKind::ContextOverflow, "too long");
    let talked = piped(vec![FakeReply::say("one"), FakeReply::Fail(error)], "first\nsecond\n");
    assert_eq!(talked.ended.unwrap_err().exit, Exit::ContextOverflow);
    assert_eq!(talked.messages, [Message::user("first"), Message::assistant("one")]);
}

#[test]
fn a_wrong_command_in_a_pipe_ends_with_a_failure() {
    let talked = piped(vec![], "/rest\n");
    let failure = talked.ended.unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.what.contains("/reset"));
    assert_eq!(piped(vec![], "/retry\n").ended.unwrap_err().exit, Exit::Usage);
}

#[test]
fn a_conversation_is_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.json");
    let path = path.to_str().unwrap();
    let first = piped(vec![FakeReply::say("one")], &format!("/set seed 4\nfirst\n/save {path}\n"));
    first.ended.unwrap();
    let second = piped(vec![FakeReply::say("two")], &format!("/load {path}\nsecond\n"));
    second.ended.unwrap();
    assert_eq!(second.asked[0].len(), 4, "system, first, one, second");
    assert_eq!(second.requests[0].options.seed, Some(4));
}

/// A person at a terminal.
struct Keys(VecDeque<Read>);

impl Lines for Keys {
    fn read(&mut self) -> Result<Read, Failure> {
        Ok(self.0.pop_front().expect("the chat has ended by now"))
    }
}

#[test]
fn ctrl_c_at_the_prompt_leaves_only_when_pressed_twice() {
    let keys = [
        Read::Interrupt,
        Read::Message("hi".into()),
        Read::Interrupt,
        Read::Interrupt,
        Read::Message("never".into()),
    ];
    let talked = talk(vec![FakeReply::say("one")], &mut Keys(keys.into()));
    talked.ended.unwrap();
    assert_eq!(talked.asked.len(), 1);
}

/// A reader that is interrupted, as by Ctrl-C, after the first piece.
struct Stopping<'a> {
    interrupt: &'a Interrupt,
    said: Vec<u8>,
}

impl Write for Stopping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.said.is_empty() {
            self.interrupt.set();
        }
        self.said.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_chat() {
    let model = FakeModel::new([FakeReply::say("one two three"), FakeReply::say("four")]);
    let interrupt = Interrupt::default();
    let mut out = Stopping { interrupt: &interrupt, said: Vec::new() };
    let mut conversation = conversation(&model, &interrupt, &mut out);
    conversation.talk(&mut Piped { from: &b"a\nb\n"[..] }).unwrap();
    let answers = [Message::assistant("one "), Message::assistant("four")];
    assert_eq!([&conversation.messages[1], &conversation.messages[3]], [&answers[0], &answers[1]]);
    assert_eq!(out.said, b"one \nfour\n");
}
