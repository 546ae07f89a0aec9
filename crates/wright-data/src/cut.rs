//! Where a long text may be cut: at a heading, a paragraph, a line, a sentence, a word.

/// The best place to split `text` within `slack` bytes of `near`. Always a character boundary.
pub fn place(text: &str, near: usize, slack: usize) -> usize {
    let floor = |at: usize| (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    let [from, to, near] = [near.saturating_sub(slack), near.saturating_add(slack), near]
        .map(|at| floor(at).unwrap_or(0));
    let window = &text[from..to];
    let closest = |places: &mut dyn Iterator<Item = usize>| {
        let places = places.map(|at| from + at).filter(|&at| at > 0 && at < text.len());
        places.min_by_key(|&at| (at.abs_diff(near), at))
    };
    let after = |mark: &'static str| window.match_indices(mark).map(move |(at, _)| at + mark.len());
    closest(&mut window.match_indices("\n\n#").map(|(at, _)| at + 2))
        .or_else(|| closest(&mut after("\n\n")))
        .or_else(|| closest(&mut after("\n")))
        .or_else(|| closest(&mut [". ", "! ", "? ", "。", "। "].into_iter().flat_map(after)))
        .or_else(|| closest(&mut after(" ")))
        .unwrap_or(near)
}

/// The first bytes of `text`, at most `bytes_max`, up to a whole character.
pub fn prefix(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Cuts `text` into pieces of about `bytes`, as (start, end); one piece if it is not much longer.
pub fn pieces(text: &str, bytes: usize) -> Vec<(usize, usize)> {
    let n = text.len() / bytes.max(1);
    let mut cuts = vec![0];
    for k in 1..n {
        let near = (text.len() as u128 * k as u128 / n as u128) as usize;
        let at = place(text, near, bytes / 3);
        if at > cuts[cuts.len() - 1] {
            cuts.push(at);
        }
    }
    cuts.push(text.len());
    cuts.windows(2).map(|pair| (pair[0], pair[1])).filter(|(from, to)| from < to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_goes_before_a_paragraph_and_that_before_a_line() {
        let text = "one two\nthree\n\nfour five six\n\n# Seven\neight";
        let heading = text.find('#').unwrap();
        assert_eq!(place(text, 20, 15), heading);
        assert_eq!(place(text, 14, 6), text.find("four").unwrap());
        assert_eq!(place(text, 9, 3), text.find("three").unwrap());
        assert_eq!(place("ééééé", 5, 1), 4, "no place but between characters");
    }

    #[test]
    fn pieces_cover_the_text() {
        let text = "Some words. And others, é!\n\n".repeat(50);
        let all = pieces(&text, 100);
        assert!(all.len() > 10);
        let joined: String = all.iter().map(|&(from, to)| &text[from..to]).collect();
        assert_eq!(joined, text);
        assert_eq!(pieces("short", 100), [(0, 5)]);
        assert!(pieces("", 100).is_empty());
    }
}
