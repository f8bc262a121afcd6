//! Statements that are not made, conditions that are the contrary, arms that are missing.

use proc_macro2::{Delimiter, TokenTree};

use crate::runner::mutation::tokens::{
    Edit, is_arrow, is_group, is_punct, removed, replaced, shortened, span, text,
};

/// Statements that are more than something done.
const DECLARATIONS: [&str; 8] = ["let", "use", "const", "static", "fn", "struct", "type", "enum"];
/// Statements that end with a block.
const BLOCKS: [&str; 5] = ["if", "for", "while", "loop", "match"];
/// Statements that are not made.
pub(super) fn of_block(source: &str, inner: &[TokenTree]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for mut statement in inner.split_inclusive(|token| is_punct(token, ';')) {
        while let Some(length) = block_length(statement) {
            let range = span(&statement[..length]);
            edits.push(removed(source, range.clone(), range));
            statement = &statement[length..];
        }
        let Some(first) = statement.first().map(ToString::to_string) else { continue };
        let is_closed = statement.last().is_some_and(|last| is_punct(last, ';'));
        if !is_closed || first == "#" || DECLARATIONS.contains(&first.as_str()) {
            continue;
        }
        edits.push(removed(source, span(statement), span(statement)));
    }
    edits
}

/// How many tokens the statement with a block has with which these begin, if more follow it.
fn block_length(tokens: &[TokenTree]) -> Option<usize> {
    let word = tokens.first()?.to_string();
    BLOCKS.contains(&word.as_str()).then_some(())?;
    let block_after = |from: usize| {
        let found = tokens[from..].iter().position(|token| is_group(token, Delimiter::Brace));
        found.map(|found| from + found + 1)
    };
    let mut end = block_after(1)?;
    while tokens.get(end).is_some_and(|token| token.to_string() == "else") {
        end = block_after(end)?;
    }
    let next = tokens.get(end)?;
    let continues = matches!(next, TokenTree::Punct(it) if ['.', '?', ';'].contains(&it.as_char()));
    (!continues).then_some(end)
}

/// The condition of an `if` or a `while`, the other way round; that of an arm of a `match`, always
/// and never true.
pub(super) fn of_condition(source: &str, tokens: &[TokenTree]) -> Vec<Edit> {
    let is_end = |at: &usize| is_arrow(&tokens[*at..]) || is_group(&tokens[*at], Delimiter::Brace);
    let Some(end) = (1..tokens.len()).find(is_end) else { return Vec::new() };
    let condition = &tokens[1..end];
    // A pattern has no contrary.
    if condition.is_empty() || condition.iter().any(|token| token.to_string() == "let") {
        return Vec::new();
    }
    let (said, range) = (text(source, condition), span(condition));
    if is_arrow(&tokens[end..]) {
        return ["true", "false"].map(|with| replaced(source, range.clone(), with)).to_vec();
    }
    let what = format!("`{}` the contrary of `{}`", tokens[0], shortened(said));
    vec![Edit { what, range, with: format!("!({said})") }]
}

/// A `match` without one of its arms.
pub(super) fn of_match(source: &str, tokens: &[TokenTree]) -> Vec<Edit> {
    let block = tokens.iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    });
    let inner: Vec<TokenTree> = block.map_or_else(Vec::new, |it| it.stream().into_iter().collect());
    let (mut edits, mut begin) = (Vec::new(), 0);
    while let Some(arrow) = (begin..inner.len()).find(|&at| is_arrow(&inner[at..])) {
        let body = arrow + 2;
        let mut end = match inner.get(body) {
            Some(token) if is_group(token, Delimiter::Brace) => body + 1,
            _ => body + inner[body..].iter().take_while(|token| !is_punct(token, ',')).count(),
        };
        if inner.get(end).is_some_and(|token| is_punct(token, ',')) {
            end += 1;
        }
        let pattern = shortened(text(source, &inner[begin..arrow]));
        let what = format!("without the arm `{pattern}`");
        edits.push(Edit { what, range: span(&inner[begin..end]), with: String::new() });
        begin = end;
    }
    edits
}
