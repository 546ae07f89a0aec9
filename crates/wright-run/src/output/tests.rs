//! The same bytes give the same answer wherever the borders of tokens fall.

use super::*;
use crate::philox::uniform;
use serde_json::{Value, json};
use wright_chat::{Collect, Tool};

/// An answer cut into pieces of `cut(i)` bytes.
fn run(
    bytes: &[u8],
    format: &OutputFormat,
    stop: &[&str],
    mut cut: impl FnMut() -> usize,
) -> (Vec<Event>, Vec<Part>, OutputState) {
    let stop: Vec<String> = stop.iter().map(|s| s.to_string()).collect();
    let mut output = OutputStream::new(format.clone(), &stop, "call".into());
    let mut sink = Collect::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(cut().min(rest.len()));
        rest = tail;
        if output.push(piece, &mut sink) != OutputState::Open {
            break;
        }
    }
    let state = output.finish(&mut sink);
    (sink.events, output.into_message().0.parts, state)
}

/// Runs `bytes` whole, byte by byte and in random pieces; all must give the same parts.
fn parts(bytes: &[u8], format: &OutputFormat, stop: &[&str]) -> (Vec<Part>, OutputState) {
    let (_, whole, state) = run(bytes, format, stop, || bytes.len());
    for seed in 0..30 {
        let mut n = 0;
        let cut = || {
            n += 1;
            1 + (uniform(seed, n) * seed as f64) as usize
        };
        let (events, pieces, piece_state) = run(bytes, format, stop, cut);
        assert_eq!(pieces, whole);
        assert_eq!(piece_state, state);
        let said: String = events
            .iter()
            .filter_map(|e| if let Event::Text { text } = e { Some(text.as_str()) } else { None })
            .collect();
        assert_eq!(said, Message::new(Role::Assistant, pieces).plain_text());
    }
    (whole, state)
}

fn said(bytes: &[u8], stop: &[&str]) -> (String, OutputState) {
    let (parts, state) = parts(bytes, &OutputFormat::default(), stop);
    (Message::new(Role::Assistant, parts).plain_text(), state)
}

fn text(text: &str) -> Part {
    Part::text(Origin::Model, text)
}

fn thought(text: &str) -> Part {
    Part::reasoning(text)
}

#[test]
fn characters_come_whole_and_broken_ones_are_replaced_as_the_standard_says() {
    let mut cases: Vec<Vec<u8>> = vec![
        "Grüße, 世界! 👩‍👩‍👧".into(),
        b"\xF0\x9F\x91".to_vec(),
        b"a\xE4\xB8z\x80\xFF\xC0\xAF\xED\xA0\x80 \xF4\x90\x80\x80".to_vec(),
    ];
    for seed in 0..200 {
        // Bytes that are often parts of characters.
        let choices = [b'a', 0xC3, 0x9F, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xFF];
        let pick = |n| choices[(uniform(seed, n) * choices.len() as f64) as usize];
        cases.push((0..24).map(pick).collect());
    }
    for bytes in cases {
        assert_eq!(
            said(&bytes, &[]),
            (String::from_utf8_lossy(&bytes).into_owned(), OutputState::Open)
        );
    }
}

#[test]
fn no_event_ever_holds_half_a_character() {
    let (events, ..) = run("né 世".as_bytes(), &OutputFormat::default(), &[], || 1);
    let pieces: Vec<_> = events.iter().map(|e| format!("{e:?}")).collect();
    assert_eq!(events.len(), 4, "{pieces:?}");
}

#[test]
fn nothing_of_a_stop_string_is_shown() {
    assert_eq!(said(b"one END two", &["END"]), ("one ".into(), OutputState::Stopped));
    assert_eq!(said(b"one EN", &["END"]), ("one EN".into(), OutputState::Open));
    assert_eq!(said(b"ENEND", &["END"]), ("EN".into(), OutputState::Stopped));
    assert_eq!(said(b"aabaabaaac", &["aabaaac"]), ("aab".into(), OutputState::Stopped));
    assert_eq!(said(b"x THE END", &["END", "THE END"]), ("x ".into(), OutputState::Stopped));
    assert_eq!(said(b"abcd", &["abcd", "bc"]), ("a".into(), OutputState::Stopped));
    assert_eq!(said(b"abcx", &["abcd", "cx"]), ("ab".into(), OutputState::Stopped));
    assert_eq!(said("中文。更多".as_bytes(), &["。"]), ("中文".into(), OutputState::Stopped));
    assert_eq!(said("中文".as_bytes(), &["文中"]), ("中文".into(), OutputState::Open));
}

#[test]
fn stop_strings_agree_with_a_plain_search() {
    for seed in 0..400 {
        let letter = |n| if uniform(seed, n) < 0.5 { 'a' } else { 'b' };
        let text: String = (0..30).map(letter).collect();
        let stops: Vec<String> = (0..3u64)
            .map(|s| (0..2 + 2 * s).map(|i| letter(1000 + 10 * s + i)).collect())
            .collect();
        let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
        // The match that ends first, and of those that end together the longest.
        let ends = (1..=text.len()).find(|&e| stops.iter().any(|s| text[..e].ends_with(s)));
        let want = match ends {
            None => (text.clone(), OutputState::Open),
            Some(e) => {
                let longest = stops.iter().filter(|s| text[..e].ends_with(**s)).map(|s| s.len());
                (text[..e - longest.max().unwrap()].to_owned(), OutputState::Stopped)
            }
        };
        assert_eq!(said(text.as_bytes(), &stops), want, "{text} {stops:?}");
    }
}

#[test]
fn text_that_cannot_become_a_stop_string_is_not_held_back() {
    let (events, ..) = run(b"one two", &OutputFormat::default(), &["oxen"], || 1);
    assert_eq!(events[0], Event::Text { text: "on".into() });
    assert_eq!(events.len(), 6); // on, e, a blank, t, w, and at the end the o
}

/// The format of a family whose template is, or contains, `words`.
fn format_of(words: &str) -> OutputFormat {
    OutputFormat::new(words, "", &[tool("f", json!({})), tool("g", json!({}))])
}

fn tool(name: &str, properties: Value) -> Tool {
    let parameters = json!({ "type": "object", "properties": properties });
    Tool { name: name.into(), description: String::new(), parameters }
}

#[test]
fn reasoning_is_told_apart_where_the_family_uses_it() {
    let on = || OutputFormat::new("<think></think>", "", &[]);
    let bytes = b"\n<think>\nhm, 1 < 2 </th\n</think>\n\nYes: <think> is a tag.";
    let want = vec![thought("hm, 1 < 2 </th"), text("Yes: <think> is a tag.")];
    assert_eq!(parts(bytes, &on(), &[]), (want, OutputState::Open));
    let plain = b"<think>x</think>";
    let (off, _) = parts(plain, &OutputFormat::default(), &[]);
    assert_eq!(off, vec![text("<think>x</think>")]);
    assert_eq!(parts(b" <thin", &on(), &[]).0, vec![text(" <thin")]);
    assert_eq!(
        parts(b"<think>unfinished </thi\n", &on(), &[]).0,
        vec![thought("unfinished </thi\n")]
    );
    let open = OutputFormat::new("<think></think>", "user: hi\nbot: <think>\n", &[]);
    assert_eq!(parts(b"so</think>A", &open, &[]).0, vec![thought("so"), text("A")]);
}

#[test]
fn stop_strings_do_not_end_reasoning() {
    let on = OutputFormat::new("<think></think>", "", &[]);
    let got = parts(b"<think>a\nb</think>c\nd", &on, &["\n"]);
    assert_eq!(got, (vec![thought("a\nb"), text("c")], OutputState::Stopped));
}

fn call(index: u32, name: &str, arguments: &str) -> Part {
    let id = format!("call{index:02}");
    ToolCall::new(id, name, arguments).into()
}

#[test]
fn tool_calls_are_read_and_what_is_none_stays_text() {
    let on = format_of("<tool_call>");
    let bytes = br#"Let me see. <tool_call>
{"name": "time", "arguments": {"zone": "UTC", "b": 1}}
</tool_call>
<tool_call>{"name": "now"}</tool_call>"#;
    let want =
        vec![text("Let me see."), call(0, "time", r#"{"zone":"UTC","b":1}"#), call(1, "now", "{}")];
    assert_eq!(parts(bytes, &on, &["zone"]), (want.clone(), OutputState::Open));
    let unclosed = &bytes[..bytes.len() - "</tool_call>".len()];
    assert_eq!(parts(unclosed, &on, &[]).0, want);
    for broken in [
        "<tool_call>{\"name\"</tool_call>!",
        "a \n <tool_call>[1]</tool_call>\n\nb ",
        "<tool_c",
        " \n<tool_call>no_such_tool</tool_call> ",
        "<tool_call><function=f><parameter=a>1</function></tool_call>",
        "<tool_call></tool_call>",
    ] {
        assert_eq!(parts(broken.as_bytes(), &on, &[]).0, vec![text(broken)]);
    }
    let quoted = br#"<tool_call>{"name":"f","arguments":"{\"a\":1}"}</tool_call>"#;
    assert_eq!(parts(quoted, &on, &[]).0, vec![call(0, "f", r#"{"a":1}"#)]);
}

#[test]
fn a_sink_that_stops_receives_no_more_events() {
    let mut output = OutputStream::new(OutputFormat::default(), &["X".into()], String::new());
    let mut heard = 0;
    let mut sink = |_: Event| {
        heard += 1;
        ControlFlow::Break(())
    };
    assert_eq!(output.push(b"abc", &mut sink), OutputState::Cancelled);
    assert_eq!(output.push(b"defX", &mut sink), OutputState::Cancelled);
    assert_eq!(output.finish(&mut sink), OutputState::Cancelled);
    assert_eq!(heard, 1);
    assert_eq!(output.into_message().0.plain_text(), "abc");
}

/// The value that a call's arguments write.
fn value(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap()
}

mod families;
mod roundtrip;
