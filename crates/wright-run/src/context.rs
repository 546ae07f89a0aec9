//! Truncation of a chat that is longer than the context.
//!
//! The system prompt stays, and so does the last turn, which is what the model is to answer. Of the
//! rest whole turns go, the oldest first; a turn is a question with all that came of it. Turns go
//! in leaps of a quarter of the context: if only just enough went, each new turn of a long chat
//! would move everything, and the cache could keep nothing of it.

use crate::engine::overflow;
use wright_chat::{Error, Message, Role};

/// A conversation that fits.
#[derive(Debug)]
pub(crate) struct Fitted<T> {
    pub ids: Vec<u32>,
    /// What else rendering told.
    pub with: T,
    /// Messages left out.
    pub n_dropped: usize,
}

/// Renders `messages` without as many of the oldest turns as it takes to leave `room` of `n_ctx`
/// tokens for the answer. The last turn alone may use all but one.
///
/// # Errors
/// Those of `render`, and if the system prompt and the last turn do not fit.
pub(crate) fn fit<T>(
    messages: &[Message],
    n_ctx: usize,
    room: usize,
    render: impl Fn(&[Message]) -> Result<(Vec<u32>, T), Error>,
) -> Result<Fitted<T>, Error> {
    let (ids, with) = render(messages)?;
    let n_all = ids.len();
    if n_all + room <= n_ctx {
        return Ok(Fitted { ids, with, n_dropped: 0 });
    }
    let n_system = messages.iter().take_while(|m| m.role == Role::System).count();
    // Where the kept part may begin: at each question but the first.
    let is_question = |i: &usize| messages[*i].role == Role::User;
    let starts: Vec<usize> = (n_system + 1..messages.len()).filter(is_question).collect();
    let without = |turns: usize| {
        let start = if turns == 0 { n_system } else { starts[turns - 1] };
        let kept = [&messages[..n_system], &messages[start..]].concat();
        render(&kept).map(|(ids, with)| Fitted { ids, with, n_dropped: start - n_system })
    };
    let limit = n_ctx.saturating_sub(room);
    let leap = (n_ctx / 4).max(1);
    let n_over = (n_all - limit).div_ceil(leap) * leap;
    for limit in [n_all.saturating_sub(n_over), limit] {
        if let Some(fitted) = fewest(starts.len(), limit, &without)? {
            return Ok(fitted);
        }
    }
    let last = without(starts.len())?;
    if last.ids.len() < n_ctx { Ok(last) } else { Err(overflow(last.ids.len() + 1, n_ctx)) }
}

/// The conversation without the fewest turns (1 to `n_turns`) that has at most `limit` tokens, by
/// bisection. `None` if even the last turn has more.
fn fewest<T>(
    n_turns: usize,
    limit: usize,
    without: &impl Fn(usize) -> Result<Fitted<T>, Error>,
) -> Result<Option<Fitted<T>>, Error> {
    let (mut low, mut high) = (1, n_turns + 1);
    let mut best = None;
    while low < high {
        let middle = low.midpoint(high);
        let fitted = without(middle)?;
        if fitted.ids.len() <= limit {
            best = Some(fitted);
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wright_chat::ErrorKind;

    /// One token for each byte.
    fn run(messages: &[Message], n_ctx: usize, room: usize) -> Result<(String, usize), Error> {
        let render = |messages: &[Message]| {
            let text: String = messages.iter().map(Message::plain_text).collect();
            Ok((text.bytes().map(u32::from).collect(), text))
        };
        fit(messages, n_ctx, room, render).map(|f| (f.with, f.n_dropped))
    }

    fn chat(n_turns: usize) -> Vec<Message> {
        let mut messages = vec![Message::system("S")];
        for turn in 0..n_turns {
            messages.push(Message::user(format!("q{turn}?")));
            messages.push(Message::assistant(format!("a{turn}!")));
        }
        messages.push(Message::user("last"));
        messages
    }

    #[test]
    fn a_chat_that_fits_is_left_alone() {
        assert_eq!(run(&chat(2), 30, 4).unwrap(), ("Sq0?a0!q1?a1!last".into(), 0));
    }

    #[test]
    fn whole_turns_go_oldest_first_and_the_system_prompt_stays() {
        // 17 tokens and room for 4 in 20: one over, but a quarter (5) goes, which is one turn of 6.
        assert_eq!(run(&chat(2), 20, 4).unwrap(), ("Sq1?a1!last".into(), 2));
        assert_eq!(run(&chat(2), 12, 1).unwrap(), ("Sq1?a1!last".into(), 2));
        assert_eq!(run(&chat(2), 11, 1).unwrap(), ("Slast".into(), 4));
    }

    #[test]
    fn a_growing_chat_keeps_its_beginning_for_several_turns() {
        let starts: Vec<usize> = (0..40).map(|n| run(&chat(n), 100, 10).unwrap().1).collect();
        let moves = starts.windows(2).filter(|w| w[0] != w[1]).count();
        assert!(starts[39] > 0 && moves <= 39 * 7 / 25 + 1, "{starts:?}");
        assert!(starts.is_sorted());
    }

    #[test]
    fn the_last_turn_may_use_the_room_but_must_fit() {
        assert_eq!(run(&chat(0), 6, 4).unwrap(), ("Slast".into(), 0));
        let error = run(&chat(3), 5, 1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::ContextOverflow);
        assert!(error.hint.is_some());
    }
}
