//! One word, one meaning: the words that isolab once had of its own do not come back as names.
//!
//! Each of them has a term that the manuals, the kernel or the OCI documents use; the list says
//! which. Comments and texts are for readers to judge, names are judged here.

mod source;

use proc_macro2::{TokenStream, TokenTree};
use source::{files, root, tokens};

/// Words that name nothing, in any position, and what is said instead.
const PRIVATE: &[(&[&str], &str)] = &[
    (&["Story", "Told", "told", "told_by", "is_told"], "Trace, ExitTrace, enabled"),
    (&["Crossings", "crossings"], "VmExit, ExitCounts"),
    (&["registers_of_model", "set_registers_of_model"], "msr_indices, set_msrs"),
    (&["serve_doorbell"], "register_ioeventfd"),
    (&["show_features"], "set_cpuid"),
    (
        &["Strange", "Whereabouts", "Faulted", "strange", "whereabouts", "faulted"],
        "Fault, VcpuState",
    ),
    (&["Papers", "papers"], "BootParams, acpi_description"),
    (&["Furniture", "Surroundings"], "MountSet, RootfsOptions"),
    (&["Ends", "Ground"], "StdioEnds, CgroupParent"),
    (&["thrift", "give_back_code"], "reclaim, drop_clean_pages"),
    (&["what_interrupted"], "iir"),
    (&["freeze_where_it_may", "may_freeze", "goes_on"], "request_freeze, freeze_point, resume"),
    (&["Place", "End", "Plan", "Live", "Said", "Spoken", "Wanted", "Seen", "Tried"], "what it is"),
    (&["Held", "Holding", "Garbled", "Patience", "Pen", "Ink", "Desk", "Baits"], "what it is"),
    (&["Crowd", "Person", "baits", "desk"], "what it is"),
];

/// Words that may be a state (a variant of an enum), and are too vague for a type.
const STATES: &[&str] = &["Running", "Ended", "Entry"];

/// The names that stand where they must not, each with the term to use.
fn found(tokens: TokenStream, here: &str, out: &mut Vec<String>) {
    let tokens = Vec::from_iter(tokens);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => found(group.stream(), here, out),
            // The standard library's own.
            TokenTree::Ident(_) if at > 2 && tokens[at - 3].to_string() == "SeekFrom" => {}
            TokenTree::Ident(word) => {
                let word = word.to_string();
                if let Some((_, term)) = PRIVATE.iter().find(|(words, _)| words.contains(&&*word)) {
                    out.push(format!("{here}: {word}: say {term}"));
                }
                let kind = at.checked_sub(1).map(|before| tokens[before].to_string());
                let is_type = matches!(kind.as_deref(), Some("struct" | "enum" | "trait" | "type"));
                if is_type && STATES.contains(&&*word) {
                    out.push(format!("{here}: {word}: say of what"));
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_private_word_is_seen_and_a_state_is_not() {
    let number = |text: &str| {
        let mut out = Vec::new();
        found(text.parse().unwrap(), "here", &mut out);
        out.len()
    };
    assert_eq!(number("fn f(story: &Story) { g!(\"Story\", Told::x()) } // Plan"), 2);
    assert_eq!(number("enum State { Running, Ended } fn f(x: State) { State::Running }"), 0);
    assert_eq!(number("struct Running; enum Ended {}"), 2);
}

#[test]
fn no_name_is_a_word_of_isolabs_own() {
    let mut out = Vec::new();
    for folder in ["crates", "labs", "tests", "benches", "fuzz"] {
        let files = files(&root().join(folder));
        assert!(!files.is_empty(), "no sources in {folder}");
        for path in files {
            let here = path.strip_prefix(root()).unwrap().display().to_string();
            found(tokens(&path), &here, &mut out);
        }
    }
    out.dedup();
    assert!(out.is_empty(), "{} names:\n{}", out.len(), out.join("\n"));
}
