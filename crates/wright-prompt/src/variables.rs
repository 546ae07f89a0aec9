//! Variables in templates: `$name`, `${name}`, and `$$` for a dollar sign.

use std::collections::BTreeSet;
use thiserror::Error;

/// Why a text cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VariableError {
    #[error("no value for {}", listed(.0))]
    Missing(Vec<String>),
    #[error("`{0}` is not closed by a brace, or holds no name of letters, digits and _")]
    Malformed(String),
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("${name}")).collect::<Vec<_>>().join(", ")
}

/// A piece of a text with variables.
enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// Puts values in the places of variables. Values are not searched for variables themselves. A
/// dollar sign that no name follows, as in `$5`, stays.
///
/// ```
/// let value = |name: &str| (name == "n").then(|| "3".to_owned());
/// let text = wright_prompt::substitute("$n items for $$5, ${n}rd", value)?;
/// assert_eq!(text, "3 items for $5, 3rd");
/// # Ok::<(), wright_prompt::VariableError>(())
/// ```
///
/// # Errors
/// If a variable has no value, or `${` begins no variable.
pub fn substitute(
    text: &str,
    value: impl Fn(&str) -> Option<String>,
) -> Result<String, VariableError> {
    let (mut filled, mut missing) = (String::new(), BTreeSet::new());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Variable(name) => match value(name) {
                Some(value) => filled.push_str(&value),
                None => {
                    missing.insert(name.to_owned());
                }
            },
        }
    }
    match missing.is_empty() {
        true => Ok(filled),
        false => Err(VariableError::Missing(missing.into_iter().collect())),
    }
}

/// The names of the variables in `text`.
///
/// # Errors
/// If `${` begins no variable.
pub fn names(text: &str) -> Result<BTreeSet<String>, VariableError> {
    let variable = |piece| match piece {
        Piece::Text(_) => None,
        Piece::Variable(name) => Some(name.to_owned()),
    };
    Ok(pieces(text)?.into_iter().filter_map(variable).collect())
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, VariableError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        pieces.push(Piece::Text(&rest[..at]));
        let after = &rest[at + 1..];
        if let Some(behind) = after.strip_prefix('$') {
            pieces.push(Piece::Text("$"));
            rest = behind;
        } else if let Some(inside) = after.strip_prefix('{') {
            let length = name_length(inside);
            if length == 0 || !inside[length..].starts_with('}') {
                let shown: String = rest[at..].chars().take(20).collect();
                return Err(VariableError::Malformed(shown));
            }
            pieces.push(Piece::Variable(&inside[..length]));
            rest = &inside[length + 1..];
        } else if name_length(after) > 0 {
            let length = name_length(after);
            pieces.push(Piece::Variable(&after[..length]));
            rest = &after[length..];
        } else {
            pieces.push(Piece::Text("$"));
            rest = after;
        }
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// Bytes of the name at the beginning of `text`: a letter or `_`, then letters, digits and `_`.
fn name_length(text: &str) -> usize {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match text.bytes().next() {
        Some(first) if is_name(first) && !first.is_ascii_digit() => {
            text.bytes().take_while(|&byte| is_name(byte)).count()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_searched_for_variables() {
        let value = |name: &str| Some(format!("${name}"));
        assert_eq!(substitute("$a ${b}c", value).unwrap(), "$a $bc");
    }

    #[test]
    fn all_that_is_missing_is_named_once() {
        let error = substitute("$b $a $b", |_| None).unwrap_err();
        assert_eq!(error.to_string(), "no value for $a, $b");
    }

    #[test]
    fn dollars_that_begin_no_variable_stay() {
        assert_eq!(substitute("$5, $$x, é$", |_| None).unwrap(), "$5, $x, é$");
        assert!(matches!(substitute("${a", |_| None), Err(VariableError::Malformed(_))));
        assert!(matches!(substitute("${}", |_| None), Err(VariableError::Malformed(_))));
    }

    #[test]
    fn names_are_listed() {
        let found: Vec<String> = names("$b ${a} $$c $b").unwrap().into_iter().collect();
        assert_eq!(found, ["a", "b"]);
    }
}
