//! Where a solution can be changed by machine: its functions, and what each may become.
//!
//! The tokens are proc-macro2's; what is changed is the source's own text, so a change shows as its
//! author would have typed it. Whether it compiles is the compiler's to say.

use std::{collections::BTreeMap, ops::Range, str::FromStr};

use proc_macro2::{Delimiter, LexError, TokenStream, TokenTree};

use super::{
    rules,
    tokens::{Edit, is_group},
};

/// A solution with one thing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The function, or the constant.
    pub(crate) function: String,
    /// The line of the change, from 1.
    pub(crate) line: usize,
    /// What becomes of what: "`<` to `<=`".
    pub(crate) what: String,
    /// The part of the source, in bytes, and what stands there instead.
    range: Range<usize>,
    with: String,
}

impl Change {
    /// The whole source, changed.
    pub(crate) fn applied(&self, source: &str) -> String {
        let Range { start, end } = self.range;
        format!("{}{}{}", &source[..start], self.with, &source[end..])
    }
}

/// All changes of a solution, in the order of the text.
///
/// # Errors
///
/// When the source is no sequence of Rust's tokens.
pub(crate) fn of(source: &str) -> Result<Vec<Change>, LexError> {
    let tokens: Vec<TokenTree> = TokenStream::from_str(source)?.into_iter().collect();
    let mut changes = Vec::new();
    of_items(source, &tokens, &mut changes);
    Ok(changes)
}

fn of_items(source: &str, tokens: &[TokenTree], changes: &mut Vec<Change>) {
    let mut at = 0;
    while at < tokens.len() {
        let name = tokens.get(at + 1).map(ToString::to_string).unwrap_or_default();
        let is = |word: &str| matches!(&tokens[at], TokenTree::Ident(ident) if ident == word);
        if is("fn") {
            let rest = &tokens[at..];
            let Some(end) = rest.iter().position(|token| is_group(token, Delimiter::Brace)) else {
                return;
            };
            // What the program begins with is not the answer.
            if name != "main" {
                let mut edits = rules::of_body(source, &rest[..end], &rest[end]);
                edits.extend(rules::of_tokens(source, std::slice::from_ref(&rest[end])));
                add(source, &name, edits, changes);
            }
            at += end;
        } else if is("const") && name != "fn" {
            let rest = &tokens[at..];
            let ends =
                |token: &TokenTree| matches!(token, TokenTree::Punct(it) if it.as_char() == ';');
            let end = rest.iter().position(ends).unwrap_or(rest.len());
            // Which functions the answer has is no part of them.
            if name != "ANSWER" {
                add(source, &name, rules::of_tokens(source, &rest[..end]), changes);
            }
            at += end;
        } else if let TokenTree::Group(group) = &tokens[at]
            && group.delimiter() == Delimiter::Brace
        {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            of_items(source, &inner, changes);
        }
        at += 1;
    }
}

/// Names the edits; those of one name in one function are counted.
fn add(source: &str, function: &str, mut edits: Vec<Edit>, changes: &mut Vec<Change>) {
    edits.sort_by_key(|edit| edit.range.start);
    let mut seen = BTreeMap::<String, usize>::new();
    for Edit { what, range, with } in edits {
        let number = seen.entry(what.clone()).or_default();
        *number += 1;
        let what = if *number > 1 { format!("{what} ({number})") } else { what };
        let line = source[..range.start].matches('\n').count() + 1;
        changes.push(Change { function: function.to_owned(), line, what, range, with });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"use std::io;

pub(crate) const GAP: u64 = 1_000;

fn find(readings: &[u64], open: bool) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    check(readings, GAP)?;
    if readings.len() > 2 && !open {
        found.push(0x10);
    }
    for reading in readings.iter().rev() {
        mount("proc", Flags::A | Flags::B);
        panic!("no {reading} < 1");
    }
    Ok(found)
}

const ANSWER: u8 = 1;

fn main() {
    let x = 1;
}
"#;

    #[test]
    fn a_solution_is_changed_in_all_these_places() {
        let changes = of(SOURCE).unwrap();
        let all: Vec<String> = changes
            .iter()
            .map(|change| format!("{}:{} {}", change.function, change.line, change.what))
            .collect();
        let expected = [
            "GAP:3 `1_000` to `1001`",
            "find:5 the body to `Ok(Default::default())`",
            "find:7 without `check(readings, GAP)?;`",
            "find:7 `readings, GAP` to `GAP, readings`",
            "find:8 without `if readings.len() > 2 && !open { found.push(0x10); }`",
            "find:8 `if` the contrary of `readings.len() > 2 && !open`",
            "find:8 without `.len()`",
            "find:8 `>` to `>=`",
            "find:8 `2` to `3`",
            "find:8 `&&` to `||`",
            "find:8 `!open` to `open`",
            "find:9 without `found.push(0x10);`",
            "find:9 without `.push(0x10)`",
            "find:9 `0x10` to `17`",
            "find:11 without `for reading in readings.iter().rev() { .. }`",
            "find:11 without `.iter()`",
            "find:11 without `.rev()`",
            "find:12 without `mount(\"proc\", Flags::A | Flags::B);`",
            "find:12 `\"proc\", Flags::A | Flags::B` to `Flags::A | Flags::B, \"proc\"`",
            "find:12 `\"proc\"` to `\"procx\"`",
            "find:12 without `Flags::A |`",
            "find:12 `|` to `&`",
            "find:12 without `| Flags::B`",
            "find:13 without `panic!(\"no {reading} < 1\");`",
        ];
        for (found, expected) in all.iter().zip(expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(all.len(), expected.len(), "{all:#?}");
    }

    #[test]
    fn a_change_changes_only_its_own_part() {
        let changes = of(SOURCE).unwrap();
        let other = changes.iter().find(|change| change.what == "`>` to `>=`").unwrap();
        let expected = SOURCE.replace("readings.len() > 2", "readings.len() >= 2");
        assert_eq!(other.applied(SOURCE), expected);
    }

    #[test]
    fn an_arm_of_a_match_is_left_out_and_its_guard_is_always_or_never_true() {
        let source = "fn run(x: u8) -> u8 { match x { 1 if open() => { 2 } _ => x, } }";
        let changes = of(source).unwrap();
        let whats: Vec<&str> = changes.iter().map(|change| &*change.what).collect();
        for expected in
            ["without the arm `1 if open()`", "without the arm `_`", "`open()` to `true`"]
        {
            assert!(whats.contains(&expected), "{whats:#?}");
        }
        let without = changes.iter().find(|change| change.what == "without the arm `1 if open()`");
        let expected = "fn run(x: u8) -> u8 { match x {  _ => x, } }";
        assert_eq!(without.unwrap().applied(source), expected);
    }

    #[test]
    fn changes_that_are_called_the_same_are_counted() {
        let changes = of("fn twice() { a(1); a(1); }").unwrap();
        let numbers = changes.iter().filter(|change| change.what.starts_with("`1` to `2`"));
        let numbers: Vec<&str> = numbers.map(|change| &*change.what).collect();
        assert_eq!(numbers, ["`1` to `2`", "`1` to `2` (2)"]);
    }
}
