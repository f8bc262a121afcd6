//! What a teacher does, says and asks: the notes, the tour and the recordings all follow it.

use report::columns::{columns, wrapped};

use crate::{Language, Scene};

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words(
    /// In English.
    pub &'static str,
    /// In Chinese.
    pub &'static str,
);

impl Words {
    /// The text in `language`.
    pub fn of(self, language: Language) -> &'static str {
        language.either(self.0, self.1)
    }
}

/// A key and what it does, in a word or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(
    /// The key.
    pub char,
    /// What it does.
    pub Words,
);

/// The key for the next step of a tour.
pub const NEXT: Key = Key(' ', Words("next", "下一步"));

/// A key as it is written on the screen.
pub(crate) fn key_label(key: char) -> String {
    match key {
        ' ' => "[Space]".into(),
        key => format!("[{key}]"),
    }
}

/// A step of a demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The key to press; `None` where there is only something to look at.
    pub key: Option<char>,
    /// What to say.
    pub say: Words,
    /// What to ask.
    pub ask: Words,
}

/// What to say besides at a step if it was measured so on this host.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The key of the step.
    pub key: char,
    /// What was measured, as the condition of a sentence.
    pub when: Words,
    /// What to say then.
    pub say: Words,
    /// Whether a scene shows it.
    pub applies: fn(&Scene) -> bool,
}

/// A demonstration from its first step to its last.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// What it shows, in a few words.
    pub title: Words,
    /// How long it takes in class.
    pub minutes: u32,
    /// What the host must have, and when in the lesson it is shown.
    pub needs: Words,
    /// All keys, in the order in which they are on the screen.
    pub keys: &'static [Key],
    /// What happens.
    pub steps: &'static [Step],
    /// What depends on the host; the notes say it in either case, a tour as it was measured.
    pub cases: &'static [Case],
}

impl Script {
    /// The teacher's notes in lines of at most `width` columns: minutes, and for each step what to press,
    /// to say and to ask.
    pub fn notes(&self, language: Language, width: usize) -> String {
        let beside = |text: &str, first: &str, rest: &str| beside(text, first, rest, width);
        let minutes = match language {
            Language::En => format!("{} minutes. {}", self.minutes, self.needs.of(language)),
            Language::Zh => format!("{} 分钟。{}", self.minutes, self.needs.of(language)),
        };
        let mut notes = format!("{}\n{}\n", self.title.of(language), beside(&minutes, "", ""));
        for (number, step) in self.steps.iter().enumerate() {
            let key = step.key.map_or(String::new(), |key| format!("[{key}]  "));
            let first = format!("{:>2}. {key}", number + 1);
            notes += &format!("\n{}\n", beside(step.say.of(language), &first, "    "));
            for case in self.cases.iter().filter(|case| Some(case.key) == step.key) {
                let say = format!("{}{}", case.when.of(language), case.say.of(language));
                notes += &format!("{}\n", beside(&say, "    ", "    "));
            }
            let ask = language.either("    Ask: ", "    问：");
            notes += &format!("{}\n", beside(step.ask.of(language), ask, "    "));
        }
        notes
    }

    /// What to say of `scene` besides, at the step of `key`.
    pub fn measured(&self, key: Option<char>, scene: &Scene) -> Option<Words> {
        let mut cases = self.cases.iter().filter(|case| Some(case.key) == key);
        cases.find(|case| (case.applies)(scene)).map(|case| case.say)
    }

    /// The keys that are pressed from the first step to the last.
    pub fn presses(&self) -> Vec<Option<char>> {
        self.steps.iter().map(|step| step.key).collect()
    }
}

/// `text` behind the label `first`, its other lines behind `rest`.
fn beside(text: &str, first: &str, rest: &str, width: usize) -> String {
    let room = width.saturating_sub(columns(first).max(columns(rest)));
    let lines = wrapped(text, room).join(&format!("\n{rest}"));
    format!("{first}{lines}")
}

#[cfg(test)]
mod tests {
    use super::columns;
    use crate::{Demo, Language};

    #[test]
    fn notes_fit_the_page_and_every_step_has_its_key_on_the_screen() {
        for demo in Demo::ALL {
            let script = demo.script();
            for language in [Language::En, Language::Zh] {
                for width in [40, 79, 132] {
                    for line in script.notes(language, width).lines().skip(1) {
                        assert!(columns(line) <= width, "{line}");
                    }
                }
                let notes = script.notes(language, 79);
                assert!(notes.contains(language.either("minutes", "分钟")));
            }
            for key in script.steps.iter().filter_map(|step| step.key) {
                assert!(script.keys.iter().any(|known| known.0 == key), "{} {key}", demo.name());
            }
        }
    }
}
