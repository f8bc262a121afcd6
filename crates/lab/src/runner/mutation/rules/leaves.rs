//! Literals and operators that are others.

use proc_macro2::{Literal, TokenTree};

use crate::runner::mutation::tokens::{Edit, is_ident, is_punct, removed, replaced, span, text};

/// Operators, and what they become.
const OPERATORS: [(&str, &str); 20] = [
    ("==", "!="),
    ("!=", "=="),
    ("<", "<="),
    ("<=", "<"),
    (">", ">="),
    (">=", ">"),
    ("&&", "||"),
    ("||", "&&"),
    ("+", "-"),
    ("-", "+"),
    ("*", "/"),
    ("/", "*"),
    ("%", "*"),
    ("&", "|"),
    ("|", "&"),
    ("<<", ">>"),
    (">>", "<<"),
    ("+=", "-="),
    ("-=", "+="),
    ("|=", "&="),
];
/// The next number, or a text of one letter more.
pub(super) fn of_literal(literal: &Literal) -> Option<Edit> {
    let (said, range) = (literal.to_string(), literal.span().byte_range());
    let with = if let Some(inner) = said.strip_prefix('"') {
        let inner = inner.strip_suffix('"')?;
        // Words for people may be others.
        (!inner.trim().contains(' ')).then(|| format!("\"{inner}x\""))?
    } else if said.starts_with(|first: char| first.is_ascii_digit()) {
        next_number(&said)?
    } else {
        return None;
    };
    Some(Edit { what: format!("`{said}` to `{with}`"), range, with })
}

/// The number after this one, with its type.
fn next_number(said: &str) -> Option<String> {
    let plain = said.replace('_', "");
    let types =
        ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize", "f32", "f64"];
    let radix = match plain.get(..2) {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    let kind = types.into_iter().find(|kind| radix != 16 && plain.ends_with(kind)).unwrap_or("");
    let digits = plain.strip_suffix(kind).unwrap_or(&plain);
    if radix == 10 && digits.contains('.') {
        let value: f64 = digits.parse().ok()?;
        return Some(format!("{:?}{kind}", value + 1.0));
    }
    let digits = if radix == 10 { digits } else { digits.get(2..)? };
    let value = u128::from_str_radix(digits, radix).ok()?;
    Some(format!("{}{kind}", value + 1))
}

/// What becomes of the punctuation of `length` characters at `at`.
pub(super) fn of_punctuation(
    source: &str,
    tokens: &[TokenTree],
    at: usize,
    length: usize,
) -> Vec<Edit> {
    let range = span(&tokens[at..at + length]);
    let said = &source[range.clone()];
    if said == "!" && tokens.get(at + 1).is_some_and(|next| !is_punct(next, '=')) {
        return of_negation(source, tokens, at).into_iter().collect();
    }
    let around = |position: Option<usize>| {
        position.and_then(|at| source.as_bytes().get(at)).is_some_and(u8::is_ascii_whitespace)
    };
    let is_binary = at > 0
        && !matches!(&tokens[at - 1], TokenTree::Punct(it) if it.as_char() != '?')
        && around(range.start.checked_sub(1))
        && around(Some(range.end));
    let Some((_, other)) = OPERATORS.iter().find(|(operator, _)| *operator == said) else {
        return Vec::new();
    };
    if !is_binary {
        return Vec::new();
    }
    let mut edits = vec![replaced(source, range, other)];
    if said == "|" {
        let (before, after) = (path_before(tokens, at), path_after(tokens, at));
        if let Some(start) = before {
            let range = span(&tokens[start..=at]);
            edits.push(removed(source, range.clone(), range));
        }
        if let Some(end) = after {
            let range = span(&tokens[at..end]);
            edits.push(removed(source, range.clone(), range));
        }
    }
    edits
}

/// `!x` as `x`; not the sign of a macro.
fn of_negation(source: &str, tokens: &[TokenTree], at: usize) -> Option<Edit> {
    if at > 0
        && is_ident(&tokens[at - 1])
        && tokens[at - 1].span().byte_range().end == tokens[at].span().byte_range().start
    {
        return None;
    }
    let range = span(&tokens[at..at + 2]);
    let with = text(source, &tokens[at + 1..at + 2]).to_owned();
    Some(replaced(source, range, &with))
}

/// Where the path begins that ends before `at`.
fn path_before(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let is_part = |token: &TokenTree| is_ident(token) || is_punct(token, ':');
    let length = tokens[..at].iter().rev().take_while(|token| is_part(token)).count();
    (length > 0).then(|| at - length)
}

/// Where the path ends that begins after `at`.
fn path_after(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let is_part = |token: &TokenTree| is_ident(token) || is_punct(token, ':');
    let length = tokens[at + 1..].iter().take_while(|token| is_part(token)).count();
    (length > 0).then(|| at + 1 + length)
}

/// How many characters belong to the operator with which the tokens begin.
pub(super) fn operator_length(tokens: &[TokenTree]) -> usize {
    let mut length = 1;
    let mut end = tokens[0].span().byte_range().end;
    for token in &tokens[1..] {
        let range = token.span().byte_range();
        if !matches!(token, TokenTree::Punct(it) if it.as_char() != '\'') || range.start != end {
            break;
        }
        length += 1;
        end = range.end;
    }
    // `!!` and `&&x` are two signs each, `?;` and `);` are ends.
    let first = tokens[0].to_string();
    if ["?", ";", ","].contains(&first.as_str()) { 1 } else { length }
}
