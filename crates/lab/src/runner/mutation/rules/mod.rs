//! The rules by which a solution is changed: one mistake each, of the kind that people make.
//!
//! rustfmt has been over the source: a binary operator stands between two spaces, and an angle
//! bracket or the sign of a reference does not.

mod leaves;
mod statements;

use proc_macro2::{Delimiter, Group, TokenTree};

use super::tokens::{Edit, is_ident, is_punct, removed, replaced, span, text};
use leaves::{of_literal, of_punctuation, operator_length};
use statements::{of_block, of_condition, of_match};

/// Calls without which the same is meant, or only an error reads differently.
const IDLE_CALLS: [&str; 6] = ["clone", "to_owned", "to_string", "map_err", "expect", "into_iter"];

/// The function's body as that of somebody who returns at once; `head` is what stands before it.
pub(super) fn of_body(source: &str, head: &[TokenTree], body: &TokenTree) -> Vec<Edit> {
    let arrow = head.windows(2).position(|pair| is_punct(&pair[0], '-') && is_punct(&pair[1], '>'));
    let result = arrow.map_or("", |at| text(source, &head[at + 2..]));
    let values: &[&str] = match result {
        "" => &[""],
        "bool" => &["true", "false"],
        it if it.contains("Result<") => &["Ok(Default::default())"],
        it if it.starts_with("Option<") => &["None"],
        _ => &["Default::default()"],
    };
    let edit = |value: &&str| Edit {
        what: format!("the body to `{value}`"),
        range: body.span().byte_range(),
        with: format!("{{ {value} }}"),
    };
    values.iter().map(edit).collect()
}

/// All changes of a sequence of tokens and of what is in its groups.
pub(super) fn of_tokens(source: &str, tokens: &[TokenTree]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Literal(literal) => edits.extend(of_literal(literal)),
            TokenTree::Ident(ident) => {
                let range = ident.span().byte_range();
                match ident.to_string().as_str() {
                    word @ ("true" | "false") => {
                        let other = if word == "true" { "false" } else { "true" };
                        edits.push(replaced(source, range, other));
                    }
                    "if" | "while" => edits.extend(of_condition(source, &tokens[at..])),
                    "match" => edits.extend(of_match(source, &tokens[at..])),
                    _ => {}
                }
            }
            TokenTree::Punct(_) => {
                let length = operator_length(&tokens[at..]);
                edits.extend(of_punctuation(source, tokens, at, length));
                at += length - 1;
            }
            TokenTree::Group(group) => edits.extend(of_group(source, tokens, at, group)),
        }
        at += 1;
    }
    edits
}

fn of_group(source: &str, tokens: &[TokenTree], at: usize, group: &Group) -> Vec<Edit> {
    // What is in a macro may be anything.
    if at > 0 && is_punct(&tokens[at - 1], '!') && at > 1 && is_ident(&tokens[at - 2]) {
        return Vec::new();
    }
    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
    let mut edits = Vec::new();
    match group.delimiter() {
        Delimiter::Brace => edits.extend(of_block(source, &inner)),
        Delimiter::Parenthesis if at > 0 && is_ident(&tokens[at - 1]) => {
            edits.extend(of_arguments(source, &inner));
            let name = tokens[at - 1].to_string();
            if at > 1 && is_punct(&tokens[at - 2], '.') && !IDLE_CALLS.contains(&name.as_str()) {
                let range = span(&tokens[at - 2..=at]);
                edits.push(removed(source, range.clone(), range));
            }
        }
        _ => {}
    }
    edits.extend(of_tokens(source, &inner));
    edits
}

/// Arguments that are next to each other, the other way round.
fn of_arguments(source: &str, inner: &[TokenTree]) -> Vec<Edit> {
    let arguments: Vec<&[TokenTree]> =
        inner.split(|token| is_punct(token, ',')).filter(|argument| !argument.is_empty()).collect();
    let swapped = |pair: &[&[TokenTree]]| {
        let (first, second) = (text(source, pair[0]), text(source, pair[1]));
        let range = span(pair[0]).start..span(pair[1]).end;
        replaced(source, range, &format!("{second}, {first}"))
    };
    let differ = |pair: &&[&[TokenTree]]| text(source, pair[0]) != text(source, pair[1]);
    arguments.windows(2).filter(differ).map(swapped).collect()
}
