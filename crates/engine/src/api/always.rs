//! Fields that dockerd writes even if nobody asked for them, which the models leave out: programs read
//! them without looking whether they are there.

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{ApiError, Result};

/// The fields of each kind of object, with what they are when nothing was asked for.
static ALWAYS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("always.json")).expect("the file is a part of the program")
});

/// `object` with all fields that an object of that kind has in `always.json`.
pub(super) fn complete(object: &mut Value, kind: &str) {
    let Value::Object(fields) = object else { return };
    for (name, value) in ALWAYS[kind].as_object().into_iter().flatten() {
        fields.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// A model as JSON, to be added to.
pub(super) fn written<T: Serialize>(model: &T) -> Result<Value> {
    serde_json::to_value(model).map_err(|error| ApiError::of(&error))
}

/// A model as JSON, with all fields of that kind.
pub(super) fn completed<T: Serialize>(model: &T, kind: &str) -> Result<Value> {
    let mut object = written(model)?;
    complete(&mut object, kind);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_there_stays() {
        let mut object = json!({ "Labels": { "a": "b" }, "User": "me" });
        complete(&mut object, "Config");
        assert_eq!(object["Labels"], json!({ "a": "b" }));
        assert_eq!(object["User"], "me");
        assert_eq!(object["Tty"], false);
        assert!(object["Entrypoint"].is_null() && object.get("Entrypoint").is_some());
    }
}
