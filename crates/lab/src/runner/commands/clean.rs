//! `isolab lab clean`: what killed checks left behind.

use sandbox::Ledger;
use serde_json::json;

use crate::runner::{Answer, Error, Result, output::text::Style};

/// The name under which checks write down what they make.
const SANDBOX: &str = "lab";

/// Removes it and says what it was. What containers and machines of isolab hold stays.
///
/// # Errors
///
/// When something of it cannot be removed; the rest is removed all the same.
pub fn clean(style: &Style) -> Result<Answer> {
    let ledger = Ledger::open().map_err(Error::Ledger)?;
    let removed = container::clean_those(&ledger, |entry| entry.sandbox == SANDBOX);
    let removed = removed.map_err(Error::Clean)?;
    let text = match removed.as_slice() {
        [] => style.either("nothing was left behind\n", "没有任何残留\n").to_owned(),
        lines => {
            let word = style.either("removed", "已清除");
            lines.iter().map(|line| format!("{word} {line}\n")).collect()
        }
    };
    Ok(Answer { text, json: json!({ "removed": removed }), code: 0 })
}
