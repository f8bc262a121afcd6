//! What nobody who watches may see: passwords and tokens, wherever a client writes them.
//!
//! The headers with a registry's credentials are never recorded at all. In what is recorded, a value
//! is left out by its name, in JSON, in `NAME=VALUE`, in options and in addresses.

use serde_json::Value;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "***";

/// Parts of names whose values are secret.
const SECRET: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "private_key",
];

/// Whether a value of that name is secret.
fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let plain = lower.replace('-', "_");
    SECRET.iter().any(|part| plain.contains(part))
        || matches!(plain.as_str(), "auth" | "authorization" | "pass" | "pwd" | "x_registry_auth")
        || ["_pass", "_pwd", "_auth"].iter().any(|end| plain.ends_with(end))
}

/// Whether that header has a registry's credentials. `e30=` is the base64 of an empty object.
pub fn is_credential(name: &str, value: &[u8]) -> bool {
    let is_known = ["x-registry-auth", "x-registry-config", "authorization"];
    is_known.iter().any(|known| name.eq_ignore_ascii_case(known))
        && !matches!(value, b"" | b"e30=" | b"e30")
}

/// Leaves out of `value` all that is secret.
pub fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if text.is_empty() => {}
                    Value::String(_) | Value::Number(_) if is_secret(name) => {
                        *value = HIDDEN.into();
                    }
                    Value::Array(_) | Value::Object(_) if is_secret(name) => {
                        hide_all(value);
                    }
                    value => hide(value),
                }
            }
        }
        Value::Array(all) => {
            let mut is_next_secret = false;
            for value in all {
                let Value::String(text) = value else {
                    hide(value);
                    continue;
                };
                // `--password`, `xyz`
                let option = text.strip_prefix('-').map(|name| name.trim_start_matches('-'));
                let is_option = option.is_some_and(|name| !name.contains('=') && is_secret(name));
                match is_next_secret {
                    true => *text = HIDDEN.into(),
                    false => hide_in(text),
                }
                is_next_secret = is_option;
            }
        }
        Value::String(text) => hide_in(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Leaves out every text and number in `value`.
fn hide_all(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide_all),
        Value::Array(all) => all.iter_mut().for_each(hide_all),
        Value::String(_) | Value::Number(_) => *value = HIDDEN.into(),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Leaves out of `text` what is secret in it: values of `NAME=VALUE` with such a name, the password of
/// an address, and what follows `Bearer` and `Basic`.
pub fn hide_in(text: &mut String) {
    *text = without_userinfo(&without_values(text));
}

/// The same of a query: encoded, and each value may be JSON.
pub fn hide_in_query(query: &str) -> String {
    let hidden = |pair: &str| {
        let Some((name, value)) = pair.split_once('=') else { return pair.to_owned() };
        if is_secret(name) {
            return format!("{name}={HIDDEN}");
        }
        let Some(plain) = super::query::decode(value) else { return pair.to_owned() };
        let mut kept = match serde_json::from_str::<Value>(&plain) {
            Ok(mut json @ (Value::Object(_) | Value::Array(_))) => {
                let before = json.clone();
                hide(&mut json);
                if json == before { plain.clone() } else { json.to_string() }
            }
            _ => plain.clone(),
        };
        hide_in(&mut kept);
        if kept == plain {
            pair.to_owned()
        } else {
            format!("{name}={}", super::query::encode(&kept))
        }
    };
    query.split('&').map(hidden).collect::<Vec<_>>().join("&")
}

/// Where a value ends that is written without quotes.
fn is_end(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, ',' | ';' | '&' | '"' | '\'' | '`')
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.')
}

fn without_values(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':', ' ']) {
        let (before, behind) = rest.split_at(at);
        // `"password":"x"`
        let bare = before.trim_end_matches(['"', '\'']);
        let name_at = bare
            .rfind(|letter| !is_of_name(letter))
            .map_or(0, |at| at + bare[at..].chars().next().map_or(1, char::len_utf8));
        let name = &bare[name_at..];
        let mark = &behind[..1];
        let scheme =
            mark == " " && matches!(name.to_ascii_lowercase().as_str(), "bearer" | "basic");
        let is_value = match mark {
            " " => scheme,
            "=" => is_secret(name.trim_start_matches('-')),
            // `Authorization: Bearer x`, `"password":"x"`; not `TOKEN: what it is` without a value.
            _ => is_secret(name) && !behind.starts_with("://"),
        };
        // A variable's value ends with its text: `PASSWORD=a b`.
        let is_variable =
            mark == "=" && kept.is_empty() && name == before && !name.starts_with('-');
        kept += before;
        kept += mark;
        rest = &behind[1..];
        if !is_value {
            continue;
        }
        if is_variable {
            return kept + HIDDEN;
        }
        let value = rest.trim_start_matches([' ', '"', '\'']);
        kept += &rest[..rest.len() - value.len()];
        let lower = value.to_ascii_lowercase();
        let is_scheme = ["bearer ", "basic "].iter().any(|scheme| lower.starts_with(scheme));
        if is_scheme {
            rest = value; // its own turn comes
            continue;
        }
        let end = value.find(is_end).unwrap_or(value.len());
        if end > 0 {
            kept += HIDDEN;
        }
        rest = &value[end..];
    }
    kept + rest
}

/// `https://user:password@host` without the password.
fn without_userinfo(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        kept += before;
        let host = behind.find(|letter| is_end(letter) || letter == '/').unwrap_or(behind.len());
        rest = behind;
        if let Some(end) = behind[..host].rfind('@') {
            kept += HIDDEN;
            rest = &behind[end..];
        }
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_secret_of_a_body_is_left() {
        let mut body = json!({
            "username": "me", "password": "s3cret", "serveraddress": "r.example",
            "IdentityToken": "s3cret", "auth": "s3cret",
            "Env": ["DB_PASSWORD=s3cret and more", "HOME=/root", "AWS_SECRET_ACCESS_KEY=s3cret"],
            "Cmd": ["mysql", "--password", "s3cret", "--api-key=s3cret", "-h", "db"],
            "Entrypoint": ["curl", "-H", "Authorization: Bearer s3cret", "https://me:s3cret@host/x"],
            "DriverOpts": { "o": "addr=10.0.0.1,username=me,password=s3cret,vers=3" },
            "Secrets": [{ "Data": "s3cret" }],
            "Labels": { "token": "s3cret", "x": "{\"password\":\"s3cret\"}" },
        });
        hide(&mut body);
        let text = body.to_string();
        assert!(!text.contains("s3cret"), "{text}");
        for kept in ["\"me\"", "r.example", "HOME=/root", "addr=10.0.0.1", "vers=3", "\"db\"", "/x"]
        {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert!(!text.contains("and more"), "{text}");
    }

    #[test]
    fn no_secret_of_a_query_is_left() {
        let query = "t=app&buildargs=%7B%22NPM_TOKEN%22%3A%22s3cret%22%2C%22A%22%3A%22b%22%7D\
                     &remote=https%3A%2F%2Fme%3As3cret%40host%2Fx.git&changes=ENV%20PASSWORD%3Ds3cret";
        let shown = hide_in_query(query);
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.starts_with("t=app&buildargs=") && shown.contains("host"), "{shown}");
        assert_eq!(hide_in_query("stream=1&stdout=1"), "stream=1&stdout=1");
    }

    #[test]
    fn what_is_not_secret_stays_as_it_is() {
        for text in ["a=b c", "http://host:80/x", "time 12:30", "x: y", "", "é=ü", "=", ":", " a"]
        {
            let mut shown = text.to_owned();
            hide_in(&mut shown);
            assert_eq!(shown, text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_before_a_password_saves_it(before in ".{0,40}", name in "[A-Z_]{0,4}") {
            let mut text = format!("{before}{name}PASSWORD=hunter2hunter2");
            hide_in(&mut text);
            proptest::prop_assert!(!text.contains("hunter2"), "{text}");
            let mut body = json!({ "Cmd": [before, format!("--{name}password"), "hunter2"] });
            hide(&mut body);
            proptest::prop_assert!(!body.to_string().contains("hunter2"), "{body}");
        }
    }
}
