//! The text behind the question mark, for people.

use serde_json::Value;

/// `%XX` and `+` decoded; `None` if that is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let high = digit(rest.next()?)?;
                u8::try_from(high * 16 + digit(rest.next()?)?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The opposite: all but what may stand as it is (RFC 3986, "unreserved") as `%XX`.
pub fn encode(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'*' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// The names and values that are not empty, decoded.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let all = query.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = all.filter_map(|(name, value)| Some((decode(name)?, decode(value)?)));
    // The docker command sends empty objects for options that were not given.
    decoded.filter(|(_, value)| !value.is_empty() && !is_empty_json(value)).collect()
}

fn is_empty_json(text: &str) -> bool {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => fields.is_empty(),
        Ok(Value::Array(all)) => all.is_empty(),
        Ok(Value::Null) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_can_be_decoded() {
        let text = "a b/ü&=%{}";
        assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        assert_eq!(decode("%zz"), None);
        assert_eq!(decode("%c3"), None);
    }

    #[test]
    fn only_what_says_something_is_a_pair() {
        let pairs = pairs("stream=1&name=&labels=%7B%7D&x&fromImage=docker.io%2Fa");
        let text = |(name, value): &(String, String)| format!("{name}={value}");
        assert_eq!(
            pairs.iter().map(text).collect::<Vec<_>>(),
            ["stream=1", "fromImage=docker.io/a"]
        );
    }
}
