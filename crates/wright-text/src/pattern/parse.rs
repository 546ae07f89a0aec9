//! From the text of an expression to its nodes.

use super::{CharSet, Node};
use std::iter::Peekable;
use std::str::Chars;

/// Parses a whole expression.
///
/// # Panics
/// If it is not of the dialect; see [`super::Pattern::new`].
pub(super) fn parse(expression: &str) -> Vec<Vec<Node>> {
    let mut parser = Parser { rest: expression.chars().peekable(), expression };
    let alternatives = parser.alternatives(false);
    assert!(parser.rest.next().is_none(), "unbalanced parenthesis in {expression}");
    alternatives
}

struct Parser<'e> {
    rest: Peekable<Chars<'e>>,
    expression: &'e str,
}

impl Parser<'_> {
    fn alternatives(&mut self, fold: bool) -> Vec<Vec<Node>> {
        let mut alternatives = vec![Vec::new()];
        loop {
            match self.rest.peek() {
                None | Some(')') => return alternatives,
                Some('|') => {
                    self.rest.next();
                    alternatives.push(Vec::new());
                }
                Some(_) => {
                    let node = self.item(fold);
                    alternatives.last_mut().expect("never empty").push(node);
                }
            }
        }
    }

    fn item(&mut self, fold: bool) -> Node {
        match self.next() {
            '(' => self.parenthesis(fold),
            '[' => {
                let set = self.class(fold);
                self.repeated(set)
            }
            '\\' => {
                let mut set = CharSet::default();
                self.escape(&mut set, fold);
                self.repeated(set.finish(false))
            }
            c => {
                let mut set = CharSet::default();
                add_char(&mut set, c, fold);
                self.repeated(set.finish(false))
            }
        }
    }

    fn repeated(&mut self, set: CharSet) -> Node {
        let (min, max) = self.count();
        let possessive = (min, max) != (1, 1) && self.rest.next_if_eq(&'+').is_some();
        Node::Chars { set, min, max, possessive }
    }

    fn parenthesis(&mut self, fold: bool) -> Node {
        let mut fold = fold;
        let mut look = None;
        if self.rest.next_if_eq(&'?').is_some() {
            match self.next() {
                ':' => {}
                '=' => look = Some(false),
                '!' => look = Some(true),
                'i' if self.next() == ':' => fold = true,
                _ => self.fail("unknown kind of group"),
            }
        }
        let alternatives = self.alternatives(fold);
        if self.next() != ')' {
            self.fail("missing )");
        }
        if let Some(negative) = look {
            return Node::Look { alternatives, negative };
        }
        let (min, max) = self.count();
        Node::Group { alternatives, min, max }
    }

    /// `?`, `*`, `+`, `{n}`, `{m,n}` or nothing.
    fn count(&mut self) -> (u32, u32) {
        match self.rest.peek() {
            Some('?') => {
                self.rest.next();
                (0, 1)
            }
            Some('*') => {
                self.rest.next();
                (0, u32::MAX)
            }
            Some('+') => {
                self.rest.next();
                (1, u32::MAX)
            }
            Some('{') => {
                self.rest.next();
                let min = self.number();
                let max = match self.next() {
                    ',' => {
                        let max = self.number();
                        if self.next() != '}' {
                            self.fail("missing }");
                        }
                        max
                    }
                    '}' => min,
                    _ => self.fail("bad count"),
                };
                (min, max)
            }
            _ => (1, 1),
        }
    }

    fn number(&mut self) -> u32 {
        let mut number = 0;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            number = number * 10 + digit;
            self.rest.next();
        }
        number
    }

    /// A class, after its `[`.
    fn class(&mut self, fold: bool) -> CharSet {
        let mut set = CharSet::default();
        let negated = self.rest.next_if_eq(&'^').is_some();
        loop {
            let first = match self.next() {
                ']' => return set.finish(negated),
                '\\' => match self.escape(&mut set, fold) {
                    Some(c) => c,
                    None => continue,
                },
                '&' if self.rest.next_if_eq(&'&').is_some() => {
                    if self.next() != '[' {
                        self.fail("&& needs a class");
                    }
                    set.intersect(self.class(fold));
                    continue;
                }
                c => c,
            };
            // A dash is a range unless it ends the class.
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                self.rest.next();
                let last = match self.next() {
                    '\\' => self.next(),
                    c => c,
                };
                set.add_range(first, last);
            } else {
                add_char(&mut set, first, fold);
            }
        }
    }

    /// What follows a backslash: added to `set`; returned too if it is a single character.
    fn escape(&mut self, set: &mut CharSet, fold: bool) -> Option<char> {
        let c = match self.next() {
            's' => {
                set.add_space();
                return None;
            }
            'S' => {
                set.add_not_space();
                return None;
            }
            'd' => {
                set.add_property("Nd");
                return None;
            }
            'p' => {
                if self.next() != '{' {
                    self.fail("\\p needs a name in braces");
                }
                let mut name = String::new();
                while let Some(c) = self.rest.next_if(|&c| c != '}') {
                    name.push(c);
                }
                self.next();
                if !set.add_property(&name) {
                    self.fail("unknown property");
                }
                return None;
            }
            'r' => '\r',
            'n' => '\n',
            't' => '\t',
            c if c.is_ascii_alphanumeric() => self.fail("unknown escape"),
            c => c,
        };
        add_char(set, c, fold);
        Some(c)
    }

    fn next(&mut self) -> char {
        match self.rest.next() {
            Some(c) => c,
            None => self.fail("unexpected end"),
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{what} in the expression {}", self.expression)
    }
}

fn add_char(set: &mut CharSet, c: char, fold: bool) {
    if fold {
        set.add_folded(c);
    } else {
        set.add_range(c, c);
    }
}
