//! Ranges and multiples of numbers as sets of texts, exact for any number of digits.
//!
//! A number is written in one way only: no exponent, no zeros at the end of a fraction, no `-0`. So
//! equal numbers are equal texts, and integers are the numbers without a point.

use super::Refusal;
use super::language::Language;
use wright_chat::schema::{Decimal, TypeSet};

/// Digits before and after the point at most, where no bound asks for more: a number must end.
const DIGITS_MAX: usize = 24;

/// A bound of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub value: Decimal,
    pub is_exclusive: bool,
}

/// What is asked of a number.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Range {
    pub min: Option<Bound>,
    pub max: Option<Bound>,
    pub multiples: Vec<Decimal>,
    pub not_multiples: Vec<Decimal>,
}

impl Range {
    pub fn at_least(&mut self, bound: Bound) {
        let is_tighter =
            |old: Bound| (bound.value, bound.is_exclusive) > (old.value, old.is_exclusive);
        if self.min.is_none_or(is_tighter) {
            self.min = Some(bound);
        }
    }

    pub fn at_most(&mut self, bound: Bound) {
        let is_tighter =
            |old: Bound| (bound.value, !bound.is_exclusive) < (old.value, !old.is_exclusive);
        if self.max.is_none_or(is_tighter) {
            self.max = Some(bound);
        }
    }

    /// The numbers of the range that are of `types` (integers, fractions or both).
    pub fn language(&self, types: TypeSet) -> Result<Language, Refusal> {
        let mut parts = vec![Language::or(vec![
            self.not_negative(types)?,
            Language::Concat(vec![Language::literal("-"), self.negative(types)?]),
        ])];
        for multiple in &self.multiples {
            parts.push(multiples_of(multiple, "multipleOf")?);
        }
        for multiple in &self.not_multiples {
            parts.push(multiples_of(multiple, "not/multipleOf")?.complement());
        }
        Ok(Language::and(parts))
    }

    fn not_negative(&self, types: TypeSet) -> Result<Language, Refusal> {
        let is_below =
            |bound: Bound| bound.value.is_negative() || bound.value.is_zero() && bound.is_exclusive;
        if self.max.is_some_and(is_below) {
            return Ok(Language::none());
        }
        let min = self.min.filter(|bound| !bound.value.is_negative());
        sizes(types, min, self.max, true)
    }

    /// The sizes of the negative numbers.
    fn negative(&self, types: TypeSet) -> Result<Language, Refusal> {
        if self.min.is_some_and(|bound| !bound.value.is_negative()) {
            return Ok(Language::none());
        }
        let flipped = |bound: Bound| Bound { value: bound.value.abs(), ..bound };
        let min = self.max.filter(|bound| bound.value.is_negative()).map(flipped);
        sizes(types, min, self.min.map(flipped), false)
    }
}

/// Numbers without a sign from `min` to `max`, zero only if `with_zero`.
fn sizes(
    types: TypeSet,
    min: Option<Bound>,
    max: Option<Bound>,
    with_zero: bool,
) -> Result<Language, Refusal> {
    let n = [min, max].into_iter().flatten().map(|b| plain(&b.value).len()).max().unwrap_or(0);
    let n = n.max(DIGITS_MAX);
    let whole = format!("(?:0|[1-9][0-9]{{0,{n}}})");
    let fraction = format!(r"\.[0-9]{{0,{n}}}[1-9]");
    let form = match (types.has(TypeSet::INTEGER), types.has(TypeSet::FRACTION)) {
        (true, true) => format!("{whole}(?:{fraction})?"),
        (true, false) => whole,
        (false, true) => format!("{whole}{fraction}"),
        (false, false) => return Ok(Language::none()),
    };
    let mut parts = vec![Language::regex(form)];
    if !with_zero {
        parts.push(Language::literal("0").complement());
    }
    if let Some(bound) = min {
        parts.push(less(&bound.value, bound.is_exclusive)?.complement());
    }
    if let Some(bound) = max {
        parts.push(less(&bound.value, !bound.is_exclusive)?);
    }
    Ok(Language::and(parts))
}

/// The digits of a number that is not negative, without an exponent.
fn plain(value: &Decimal) -> String {
    value.digits_in_full()
}

/// Numbers without a sign that are less than `limit`, or equal to it if `or_equal`.
fn less(limit: &Decimal, or_equal: bool) -> Result<Language, Refusal> {
    let text = plain(limit);
    if text.len() > 400 {
        return Err(Refusal::new("minimum and maximum", "a bound has more than 400 digits"));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let any = r"(?:\.[0-9]+)?";
    let mut parts = Vec::new();
    // A smaller whole part: fewer digits, or a smaller digit after equal ones.
    if whole != "0" {
        parts.push(format!("0{any}"));
        if whole.len() > 1 {
            parts.push(format!("[1-9][0-9]{{0,{}}}{any}", whole.len() - 2));
        }
    }
    for (i, digit) in whole.bytes().enumerate() {
        let first = if i == 0 { b'1' } else { b'0' };
        if digit > first {
            let rest = whole.len() - i - 1;
            let range = format!("[{}-{}]", char::from(first), char::from(digit - 1));
            parts.push(format!("{}{range}[0-9]{{{rest}}}{any}", &whole[..i]));
        }
    }
    // The same whole part and a smaller fraction.
    if !fraction.is_empty() {
        parts.push(whole.to_owned());
    }
    for (i, digit) in fraction.bytes().enumerate() {
        let before = &fraction[..i];
        if digit > b'0' {
            let range = format!("[0-{}]", char::from(digit - 1));
            parts.push(format!(r"{whole}\.{before}{range}[0-9]*"));
        }
        if i > 0 {
            parts.push(format!(r"{whole}\.{before}"));
        }
    }
    let mut all: Vec<Language> = Vec::new();
    if !parts.is_empty() {
        all.push(Language::regex(parts.join("|")));
    }
    if or_equal {
        all.push(Language::literal(text));
    }
    Ok(Language::or(all))
}

/// Multiples of `divisor` as the matcher's regular expressions can say it: multiples of d · 10ⁿ
/// where the last digits decide.
fn multiples_of(divisor: &Decimal, keyword: &'static str) -> Result<Language, Refusal> {
    let (digits, exponent) = divisor.parts();
    // Where d divides 10ʲ, the last j digits decide.
    let n_deciding = (0..=3_u32).find(|&j| 10_u64.pow(j).is_multiple_of(digits));
    let Some(n_deciding) = n_deciding.filter(|_| exponent.unsigned_abs() <= 30) else {
        let why = format!("multiples of {divisor} cannot be enforced, but those of 0.01, 5 or 100");
        return Err(Refusal::new(keyword, why));
    };
    let endings = (0..10_u64.pow(n_deciding)).filter(|n| n.is_multiple_of(digits));
    let width = n_deciding as usize;
    let mut endings: Vec<String> = endings.map(|n| format!("{n:0width$}")).collect();
    if width == 0 {
        endings = vec![String::new()];
    }
    Ok(Language::or(
        endings
            .iter()
            .map(|ending| Language::regex(ending_in(ending, exponent)))
            .collect::<Vec<_>>(),
    ))
}

/// Numbers that are (… `ending`) · 10^`exponent`, where the dots are any digits.
fn ending_in(ending: &str, exponent: i32) -> String {
    let n = ending.len() as i32;
    if exponent >= 0 {
        // Whole numbers that end so, followed by zeros; shorter ones as if zeros stood before.
        let tail = format!("{ending}{}", "0".repeat(exponent as usize));
        let short = tail.trim_start_matches('0');
        let short = if short.is_empty() { "0" } else { short };
        return format!("-?(?:{short}|[1-9][0-9]*{tail})");
    }
    // Digits after the point: `exponent` places; zeros at the end are not written.
    let places = exponent.unsigned_abs() as usize;
    if n as usize <= places {
        let free = places - n as usize;
        let kept = ending.trim_end_matches('0');
        if kept.is_empty() {
            return match free {
                0 => r"-?[0-9]+".into(),
                free => format!(r"-?[0-9]+(?:\.[0-9]{{1,{free}}})?"),
            };
        }
        return format!(r"-?[0-9]+\.[0-9]{{{free}}}{kept}");
    }
    let (whole, fraction) = ending.split_at(n as usize - places);
    let fraction = fraction.trim_end_matches('0');
    let short = whole.trim_start_matches('0');
    let short = if short.is_empty() { "0" } else { short };
    let fraction = if fraction.is_empty() { String::new() } else { format!(r"\.{fraction}") };
    format!("-?(?:{short}|[1-9][0-9]*{whole}){fraction}")
}
