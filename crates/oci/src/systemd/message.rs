//! Messages of D-Bus, as far as a runtime needs them: method calls out, their answers in (D-Bus
//! specification, "Message Protocol"). Everything is little-endian, and each type aligned to its size.

/// A value, with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// `s`
    Text(String),
    /// `b`
    Bool(bool),
    /// `t`
    Number(u64),
    /// `au`
    Numbers(Vec<u32>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
    /// `a(sv)`
    Properties(Vec<(String, Value)>),
    /// `a(sa(sv))`, without any.
    NoUnits,
}

impl Value {
    /// Its signature.
    fn signature(&self) -> &'static str {
        match self {
            Self::Text(_) => "s",
            Self::Bool(_) => "b",
            Self::Number(_) => "t",
            Self::Numbers(_) => "au",
            Self::Pairs(_) => "a(ss)",
            Self::Properties(_) => "a(sv)",
            Self::NoUnits => "a(sa(sv))",
        }
    }
}

/// A method of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) name: &'a str,
}

/// The bytes of a call.
pub(super) fn call(method: &Method<'_>, serial: u32, arguments: &[Value]) -> Vec<u8> {
    const METHOD_CALL: u8 = 1;
    const VERSION: u8 = 1;
    let mut body = Writer::default();
    arguments.iter().for_each(|argument| body.value(argument));
    let signature: String = arguments.iter().map(Value::signature).collect();
    let mut out = Writer::default();
    out.0.extend([b'l', METHOD_CALL, 0, VERSION]);
    out.number(body.0.len() as u32);
    out.number(serial);
    let fields = [
        (1, "o", method.path),
        (2, "s", method.interface),
        (3, "s", method.name),
        (6, "s", method.destination),
        (8, "g", &*signature),
    ];
    out.array(8, |out| {
        for (code, kind, text) in fields.into_iter().filter(|(.., text)| !text.is_empty()) {
            out.align(8);
            out.0.push(code);
            out.signature(kind);
            if kind == "g" { out.signature(text) } else { out.text(text) }
        }
    });
    out.align(8);
    out.0.extend(body.0);
    out.0
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(signature.len() as u8);
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// An array: its length in bytes, without the padding before its first element.
    fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.number(0);
        let at = self.0.len();
        self.align(alignment);
        let first = self.0.len();
        elements(self);
        let length = (self.0.len() - first) as u32;
        self.0[at - 4..at].copy_from_slice(&length.to_le_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.text(text),
            Value::Bool(is) => self.number((*is).into()),
            Value::Number(number) => {
                self.align(8);
                self.0.extend(number.to_le_bytes());
            }
            Value::Numbers(numbers) => {
                self.array(4, |out| numbers.iter().for_each(|number| out.number(*number)));
            }
            Value::Pairs(pairs) => self.array(8, |out| {
                for (one, other) in pairs {
                    out.align(8);
                    out.text(one);
                    out.text(other);
                }
            }),
            Value::Properties(properties) => self.array(8, |out| {
                for (name, value) in properties {
                    out.align(8);
                    out.text(name);
                    out.signature(value.signature());
                    out.value(value);
                }
            }),
            Value::NoUnits => self.array(8, |_| {}),
        }
    }
}

/// The first bytes of any message, which tell how long the rest is.
pub(super) const HEAD: usize = 16;

/// How many bytes follow a head; `None` if it is not one.
pub(super) fn rest(head: &[u8; HEAD]) -> Option<usize> {
    /// More than any answer to a call of ours.
    const MOST: usize = 1 << 20;
    let [body, fields] = [4, 12].map(|at| number_at(head, at).unwrap_or_default() as usize);
    let rest = fields.checked_next_multiple_of(8)?.checked_add(body)?;
    (head[0] == b'l' && rest <= MOST).then_some(rest)
}

/// An answer to a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The serial number of the call.
    pub(super) to: u32,
    /// The name of the error, if it is one.
    pub(super) error: Option<String>,
    /// Its text, if it has one: also the text in a variant.
    pub(super) text: Option<String>,
}

/// Reads a message; `None` for one that is not an answer.
pub(super) fn answer(head: &[u8; HEAD], rest: &[u8]) -> Option<Answer> {
    const METHOD_RETURN: u8 = 2;
    const ERROR: u8 = 3;
    let kind = head[1];
    if kind != METHOD_RETURN && kind != ERROR {
        return None;
    }
    let end = number_at(head, 12)? as usize;
    let (mut to, mut error, mut signature) = (0, None, String::new());
    let mut at = 0;
    while at < end {
        at = at.next_multiple_of(8);
        let code = *rest.get(at)?;
        // A signature of one letter: its length, the letter, the end.
        let kind = *rest.get(at + 2)?;
        at += 4;
        match kind {
            b'u' => {
                let number = number_at(rest, at)?;
                to = if code == 5 { number } else { to };
                at += 4;
            }
            b'g' => {
                let length = usize::from(*rest.get(at)?);
                let bytes = rest.get(at + 1..at + 1 + length)?;
                signature = String::from_utf8_lossy(bytes).into_owned();
                at += length + 2;
            }
            b's' | b'o' => {
                let text = text_at(rest, at)?;
                at += text.len() + 5;
                error = if code == 4 { Some(text) } else { error };
            }
            _ => return None,
        }
    }
    let body = rest.get(end.next_multiple_of(8)..)?;
    let text = match signature.as_bytes() {
        [b's' | b'o', ..] => text_at(body, 0),
        // A variant with a text: `1 s 0`, and padding.
        [b'v'] if body.get(..3) == Some(&[1, b's', 0]) => text_at(body, 4),
        _ => None,
    };
    let error = if kind == ERROR { error.or(Some(String::new())) } else { None };
    Some(Answer { to, error, text })
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(number.try_into().ok()?))
}

fn text_at(bytes: &[u8], at: usize) -> Option<String> {
    let length = number_at(bytes, at)? as usize;
    let text = bytes.get(at + 4..(at + 4).checked_add(length)?)?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_aligned_to_their_size() {
        let mut out = Writer::default();
        out.value(&Value::Bool(true));
        out.value(&Value::Number(7));
        out.value(&Value::Text("ab".into()));
        assert_eq!(
            out.0,
            [1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', 0]
        );
        let mut out = Writer::default();
        out.value(&Value::Pairs(vec![("a".into(), "b".into())]));
        let expected: [u8; 22] =
            [14, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b'a', 0, 0, 0, 1, 0, 0, 0, b'b', 0];
        assert_eq!(out.0, expected);
    }

    #[test]
    fn no_bytes_of_a_peer_make_it_fail() {
        let head = |fields: u8| {
            let mut head = [0; HEAD];
            (head[0], head[1], head[12]) = (b'l', 3, fields);
            head
        };
        for length in 0..40 {
            for byte in [0, 1, 4, 8, b's', b'u', b'g', 255] {
                let rest = vec![byte; length];
                for fields in [0, 7, 8, 40, 255] {
                    let _ = answer(&head(fields), &rest);
                }
            }
        }
        assert_eq!(rest(&[255; HEAD]), None);
    }
}
