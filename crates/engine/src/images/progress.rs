//! The lines of a response that goes on while the work does: JSON objects, as dockerd sends them.
//!
//! ```text
//!   {"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"[==> ] 1B/2B","id":"5f2a"}
//!   {"stream":"Step 1/2 : FROM busybox"}
//!   {"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}
//! ```
//!
//! Source: moby, pkg/jsonmessage and pkg/streamformatter.

use std::io;

use serde_json::{Value, json};

use super::error::{ImageError, Result};

/// Takes the lines of a response, one after the other. An error says that the client is gone: then the
/// work stops. `null` is not sent: it asks whether the client is still there.
pub type Lines<'a> = dyn FnMut(Value) -> io::Result<()> + 'a;

/// Sends a line.
///
/// # Errors
///
/// [`ImageError::ClientGone`].
pub fn send(lines: &mut Lines<'_>, line: Value) -> Result<()> {
    lines(line).map_err(|_| ImageError::ClientGone)
}

/// The line that ends a response whose status was sent before the work failed.
pub fn error_line(error: &ImageError) -> Value {
    let message = error.to_string();
    let detail = match error {
        ImageError::Command { code, .. } => json!({ "code": code, "message": message }),
        _ => json!({ "message": message }),
    };
    json!({ "errorDetail": detail, "error": message })
}

/// `{"status": ..}`
pub(super) fn status(text: impl Into<String>) -> Value {
    json!({ "status": text.into() })
}

/// `{"status": .., "id": ..}`
pub(super) fn status_of(text: impl Into<String>, id: &str) -> Value {
    json!({ "status": text.into(), "id": id })
}

/// What happens to a layer.
pub(super) fn layer(text: &str, id: &str) -> Value {
    json!({ "status": text, "progressDetail": {}, "id": id })
}

/// How far a layer is.
pub(super) fn layer_at(text: &str, id: &str, current: u64, total: u64) -> Value {
    json!({
        "status": text,
        "progressDetail": { "current": current, "total": total },
        "progress": bar(current, total),
        "id": id,
    })
}

/// `{"stream": ..}`
pub(super) fn stream(text: impl Into<String>) -> Value {
    json!({ "stream": text.into() })
}

/// `[====>      ]  1.2MB/3.4MB`, for clients that show it as it is.
fn bar(current: u64, total: u64) -> String {
    const WIDTH: u64 = 50;
    if total == 0 {
        return format!("{:>8}", human_size(current));
    }
    let done = u128::from(current) * u128::from(WIDTH) / u128::from(total);
    let done = usize::try_from(done).unwrap_or(usize::MAX).min(WIDTH as usize);
    let left = WIDTH as usize - done;
    let (current, total) = (human_size(current), human_size(total));
    format!("[{}>{}] {current:>8}/{total}", "=".repeat(done), " ".repeat(left))
}

/// Four significant digits and a decimal unit: `4.261MB` (docker/go-units, HumanSize).
pub(super) fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    // Go's %.4g: as many decimals as make four digits, and none at the end that is 0.
    let decimals = match size {
        size if size >= 999.95 => 0,
        size if size >= 99.995 => 1,
        size if size >= 9.9995 => 2,
        _ => 3,
    };
    let text = format!("{size:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_four_digits_as_docker_shows_them() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1536, "1.536kB"),
            (4_261_550, "4.262MB"),
            (123_456_789, "123.5MB"),
            (u64::MAX, "18.45EB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn a_bar_is_as_long_at_its_end_as_at_its_beginning() {
        assert_eq!(bar(1, 2), format!("[{}>{}]       1B/2B", "=".repeat(25), " ".repeat(25)));
        assert_eq!(bar(5, 2).len(), bar(0, 2).len());
        assert_eq!(bar(1, 0), "      1B");
    }

    #[test]
    fn an_error_line_has_the_code_of_a_failed_command() {
        let error = ImageError::Command { message: "no".into(), code: 7 };
        let line = json!({ "errorDetail": { "code": 7, "message": "no" }, "error": "no" });
        assert_eq!(error_line(&error), line);
        let error = ImageError::NotFound("no".into());
        assert_eq!(error_line(&error)["errorDetail"], json!({ "message": "no" }));
    }
}
