//! Tokens, the text that they are, and edits of it.

use std::ops::Range;

use proc_macro2::{Delimiter, TokenTree};

/// What is longer is told by its beginning.
const LONGEST: usize = 64;

/// An edit of the source that a rule proposes: what it is called, where, and what stands there then.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) what: String,
    pub(super) range: Range<usize>,
    pub(super) with: String,
}

pub(super) fn replaced(source: &str, range: Range<usize>, with: &str) -> Edit {
    let said = &source[range.clone()];
    let what = format!("`{}` to `{}`", shortened(said), shortened(with));
    Edit { what, range, with: with.to_owned() }
}

pub(super) fn removed(source: &str, range: Range<usize>, quoted: Range<usize>) -> Edit {
    Edit { what: format!("without `{}`", shortened(&source[quoted])), range, with: String::new() }
}

/// In one line, and a long block by its beginning.
pub(super) fn shortened(code: &str) -> String {
    let line = code.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.split_once(" {") {
        Some((head, _)) if line.len() > LONGEST => format!("{head} {{ .. }}"),
        _ => line,
    }
}

pub(super) fn text<'s>(source: &'s str, tokens: &[TokenTree]) -> &'s str {
    if tokens.is_empty() { "" } else { &source[span(tokens)] }
}

pub(super) fn span(tokens: &[TokenTree]) -> Range<usize> {
    let end = |token: Option<&TokenTree>| token.map(|token| token.span().byte_range());
    let (first, last) = (end(tokens.first()), end(tokens.last()));
    first.map_or(0, |range| range.start)..last.map_or(0, |range| range.end)
}

pub(super) fn is_punct(token: &TokenTree, letter: char) -> bool {
    matches!(token, TokenTree::Punct(it) if it.as_char() == letter)
}

pub(super) fn is_arrow(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [first, second, ..] if is_punct(first, '=') && is_punct(second, '>'))
}

pub(super) fn is_ident(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(_))
}

/// Whether it is a group with these delimiters.
pub(super) fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}
