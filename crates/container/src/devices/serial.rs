//! Device numbers and accesses as written in config.json.

use serde::{Deserialize, Deserializer};

use super::Access;

/// A number; missing, null and negative mean all, as in runc.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    match Option::<i64>::deserialize(from)? {
        None | Some(i64::MIN..0) => Ok(None),
        Some(number) => u32::try_from(number).map(Some).map_err(serde::de::Error::custom),
    }
}

impl From<Access> for String {
    fn from(access: Access) -> Self {
        access.to_string()
    }
}

impl TryFrom<String> for Access {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let known = |letter| Self::LETTERS.iter().find(|it| it.0 == letter);
        text.chars().try_fold(Self::NONE, |access, letter| match known(letter) {
            Some((_, more)) => Ok(access.with(*more)),
            None => Err(format!("the access {text:?} to a device is made of r, w and m")),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::devices::{Access, DeviceKind, DeviceRule};

    #[test]
    fn rules_are_read_as_config_json_has_them() {
        let text = r#"[
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"},
            {"allow": true, "type": "b", "major": 8, "minor": -1}
        ]"#;
        let rules: Vec<DeviceRule> = serde_json::from_str(text).unwrap();
        let disk = DeviceRule { kind: DeviceKind::Block, major: Some(8), ..DeviceRule::all(true) };
        let null = DeviceRule {
            access: Access::READ.with(Access::WRITE),
            ..DeviceRule::allowed_char(1, Some(3))
        };
        assert_eq!(rules, [DeviceRule::all(false), null, disk]);
        let again = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<Vec<DeviceRule>>(&again).unwrap(), rules);
        let wrong = r#"{"allow": true, "access": "rx"}"#;
        let error = serde_json::from_str::<DeviceRule>(wrong).unwrap_err().to_string();
        assert!(error.contains("\"rx\""), "{error}");
    }
}
