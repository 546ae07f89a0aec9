//! Rules of a grammar, before they are printed.

use super::Refusal;
use super::language::{Language, lark_string};
use std::collections::HashMap;
use std::fmt::Write;

/// Rules and alternatives at most.
const RULES_MAX: usize = 40_000;
const SYMBOLS_MAX: usize = 200_000;
/// Different sets of texts at most.
const TERMINALS_MAX: usize = 4_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RuleId(usize);

/// What an alternative of a rule consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Symbol {
    Text(String),
    Terminal(usize),
    Rule(RuleId),
    /// The symbols again and again: at least and at most so often.
    Repeat(Vec<Symbol>, u64, Option<u64>),
}

/// Alternatives of each rule.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    rules: Vec<Vec<Vec<Symbol>>>,
    terminals: Vec<Language>,
    known: HashMap<Language, Option<usize>>,
    n_symbols: usize,
}

impl Grammar {
    pub fn rule(&mut self) -> Result<RuleId, Refusal> {
        if self.rules.len() == RULES_MAX {
            return Err(Refusal::new("the schema", "its grammar has too many rules"));
        }
        self.rules.push(Vec::new());
        Ok(RuleId(self.rules.len() - 1))
    }

    /// Adds an alternative to a rule. Texts stay lexemes of their own: the lexer takes the longest
    /// one, so that `, "a"` as one lexeme would hide `, ` before another key.
    pub fn add(&mut self, rule: RuleId, symbols: Vec<Symbol>) -> Result<(), Refusal> {
        self.n_symbols += symbols.len() + 1;
        if self.n_symbols > SYMBOLS_MAX {
            return Err(Refusal::new("the schema", "its grammar is too large"));
        }
        let alternatives = &mut self.rules[rule.0];
        if !alternatives.contains(&symbols) {
            alternatives.push(symbols);
        }
        Ok(())
    }

    /// The terminal for a set of texts; `None` if the set is empty.
    pub fn terminal(&mut self, language: Language) -> Result<Option<Symbol>, Refusal> {
        if let Some(known) = self.known.get(&language) {
            return Ok(known.map(Symbol::Terminal));
        }
        if let Language::Literal(text) = &language {
            return Ok(Some(Symbol::Text(text.clone())));
        }
        if self.terminals.len() == TERMINALS_MAX {
            return Err(Refusal::new("the schema", "it has too many patterns"));
        }
        let is_empty = language
            .is_empty()
            .ok_or_else(|| Refusal::new("pattern", "it takes too much work to compile"))?;
        let number = (!is_empty).then_some(self.terminals.len());
        self.known.insert(language.clone(), number);
        if !is_empty {
            self.terminals.push(language);
        }
        Ok(number.map(Symbol::Terminal))
    }

    /// Which rules some text satisfies: those of which an alternative has only such symbols.
    fn productive(&self) -> Vec<bool> {
        let mut productive = vec![false; self.rules.len()];
        loop {
            let mut is_done = true;
            for (number, alternatives) in self.rules.iter().enumerate().rev() {
                if !productive[number] && alternatives.iter().any(|a| is_productive(a, &productive))
                {
                    productive[number] = true;
                    is_done = false;
                }
            }
            if is_done {
                return productive;
            }
        }
    }

    /// The name of a rule.
    pub fn name(&self, rule: RuleId, prefix: &str) -> String {
        format!("{prefix}r{}", rule.0)
    }

    /// The rules that `start` needs, in the syntax of Lark.
    pub fn to_lark(&self, start: RuleId, prefix: &str) -> Result<String, Refusal> {
        let productive = self.productive();
        if !productive[start.0] {
            return Err(Refusal::new("the schema", "no value satisfies it"));
        }
        let mut reached = vec![false; self.rules.len()];
        let used = vec![false; self.terminals.len()];
        let upper = prefix.to_uppercase();
        let pending = vec![start];
        let mut printer = Printer { productive: &productive, prefix, upper: &upper, pending, used };
        let mut lark = String::new();
        while let Some(rule) = printer.pending.pop() {
            if std::mem::replace(&mut reached[rule.0], true) {
                continue;
            }
            let alternatives = self.rules[rule.0].iter().filter(|a| is_productive(a, &productive));
            let printed: Vec<String> =
                alternatives.map(|symbols| printer.symbols(symbols)).collect();
            let _ = writeln!(lark, "{prefix}r{}: {}", rule.0, printed.join("\n  | "));
        }
        for (number, language) in self.terminals.iter().enumerate() {
            if printer.used[number] {
                let _ = writeln!(lark, "{upper}T{number}: {}", language.to_lark());
            }
        }
        Ok(lark)
    }
}

fn is_productive(symbols: &[Symbol], productive: &[bool]) -> bool {
    symbols.iter().all(|symbol| match symbol {
        Symbol::Text(_) | Symbol::Terminal(_) => true,
        Symbol::Rule(rule) => productive[rule.0],
        Symbol::Repeat(symbols, min, _) => *min == 0 || is_productive(symbols, productive),
    })
}

struct Printer<'p> {
    productive: &'p [bool],
    prefix: &'p str,
    /// The prefix in upper case, for terminals.
    upper: &'p str,
    /// Rules that were named and are still to be printed.
    pending: Vec<RuleId>,
    /// Terminals that were named.
    used: Vec<bool>,
}

impl Printer<'_> {
    fn symbols(&mut self, symbols: &[Symbol]) -> String {
        let mut out = Vec::new();
        for symbol in symbols {
            match symbol {
                Symbol::Text(text) if text.is_empty() => {}
                Symbol::Text(text) => out.push(lark_string(text)),
                Symbol::Terminal(number) => {
                    self.used[*number] = true;
                    out.push(format!("{}T{number}", self.upper));
                }
                Symbol::Rule(rule) => {
                    self.pending.push(*rule);
                    out.push(format!("{}r{}", self.prefix, rule.0));
                }
                Symbol::Repeat(_, _, Some(0)) => {}
                Symbol::Repeat(inner, _, _) if !is_productive(inner, self.productive) => {}
                Symbol::Repeat(inner, min, max) => {
                    let inner = self.symbols(inner);
                    out.push(match max {
                        None if *min == 0 => format!("({inner})*"),
                        None => format!("({inner}){{{min},}}"),
                        Some(max) => format!("({inner}){{{min},{max}}}"),
                    });
                }
            }
        }
        if out.is_empty() { "\"\"".into() } else { out.join(" ") }
    }
}
