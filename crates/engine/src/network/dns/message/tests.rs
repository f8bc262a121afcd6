use proptest::prelude::*;

use super::*;

/// A query, as a client's library writes it.
fn query(name: &str, kind: u16, announced: Option<u16>) -> Vec<u8> {
    let others = u8::from(announced.is_some());
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, others];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend(IN.to_be_bytes());
    if let Some(size) = announced {
        message.extend([0, 0, OPT as u8]);
        message.extend(size.to_be_bytes());
        message.extend([0; 6]);
    }
    message
}

fn flags_of(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[2], message[3]])
}

fn answers_in(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[6], message[7]])
}

#[test]
fn a_question_is_read_and_answered_byte_for_byte() {
    let question = Question::parse(&query("Web.Example", A, None)).unwrap();
    assert_eq!(question.name().unwrap(), "web.example");
    let answer = question.respond(Code::NoError, &[Data::Address([10, 0, 0, 2].into())], 60, true);
    let mut expected = query("Web.Example", A, None);
    expected[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
    expected.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 2]);
    assert_eq!(answer, expected);
    assert_eq!(question.response_code(&answer), Some(0));
    let other = Question::parse(&query("web.example", PTR, None)).unwrap();
    assert_eq!(other.response_code(&answer), None);
}

#[test]
fn an_address_is_asked_for_in_reverse() {
    let reverse = |name: &str| Question::parse(&query(name, PTR, None)).unwrap().reverse_address();
    assert_eq!(reverse("3.2.17.172.IN-ADDR.arpa"), Some([172, 17, 2, 3].into()));
    for other in ["2.17.172.in-addr.arpa", "1.3.2.17.172.in-addr.arpa", "256.2.17.172.in-addr.arpa"]
    {
        assert_eq!(reverse(other), None, "{other}");
    }
    let question = Question::parse(&query("3.2.17.172.in-addr.arpa", PTR, None)).unwrap();
    let answer = question.respond(Code::NoError, &[Data::Name("web.net")], 60, true);
    assert!(answer.ends_with(b"\x00\x09\x03web\x03net\x00"), "{answer:?}");
}

#[test]
fn what_does_not_fit_into_a_datagram_is_announced() {
    let addresses: Vec<Data<'_>> =
        (0..=255).map(|last| Data::Address([10, 0, 0, last].into())).collect();
    for (announced, limit) in
        [(None, 512), (Some(100), 512), (Some(1232), 1232), (Some(9000), 4096)]
    {
        let question = Question::parse(&query("all", A, announced)).unwrap();
        let answer = question.respond(Code::NoError, &addresses, 60, true);
        assert!(answer.len() <= limit && answer.len() > limit - 16 || answers_in(&answer) == 256);
        let is_cut = answers_in(&answer) < 256;
        assert_eq!(flags_of(&answer) & IS_TRUNCATED != 0, is_cut);
        let stream = question.respond(Code::NoError, &addresses, 60, false);
        assert_eq!((answers_in(&stream), flags_of(&stream) & IS_TRUNCATED), (256, 0));
    }
}

#[test]
fn messages_that_ask_nothing_are_refused_or_ignored() {
    let code = |message: &[u8]| match Question::parse(message).unwrap_err() {
        Invalid::Ignored => None,
        Invalid::Answered(answer) => Some(answer[3] & 0xf),
    };
    let good = query("web", A, None);
    let changed = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        message
    };
    assert_eq!(code(&good[..11]), None);
    assert_eq!(code(&changed(2, 0x80)), None, "a response");
    assert_eq!(code(&changed(2, 0x28)), Some(Code::NotImplemented as u8), "an update");
    assert_eq!(code(&changed(5, 0)), Some(Code::FormatError as u8), "no question");
    assert_eq!(code(&changed(5, 2)), Some(Code::FormatError as u8), "two questions");
    assert_eq!(code(&changed(12, 0x40)), Some(Code::FormatError as u8), "a reserved label");
    assert_eq!(code(&changed(12, 63)), Some(Code::FormatError as u8), "a label that is cut");
    let mut circle = good.clone();
    circle[12..14].copy_from_slice(&[0xc0, 12]);
    assert_eq!(code(&circle), Some(Code::FormatError as u8), "a pointer to itself");
}

#[test]
fn a_name_with_other_bytes_has_no_text() {
    let mut message = query("a.b", A, None);
    message[13] = b'.';
    assert_eq!(Question::parse(&message).unwrap().name(), None);
    let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    assert_eq!(Question::parse(&query(&longest, A, None)).unwrap().name().unwrap(), longest);
    assert!(Question::parse(&query(&format!("{longest}e"), A, None)).is_err());
}

proptest! {
    #[test]
    fn no_message_is_a_panic_or_a_large_answer(
        mut message in proptest::collection::vec(any::<u8>(), 0..600),
        is_query in any::<bool>(),
    ) {
        if is_query && message.len() >= HEADER {
            message[2..6].copy_from_slice(&[1, 0, 0, 1]);
        }
        if let Ok(question) = Question::parse(&message) {
            let _ = (question.name(), question.reverse_address());
            let data = [Data::Address([10, 0, 0, 2].into()); 300];
            let answer = question.respond(Code::NoError, &data, 60, true);
            prop_assert!(answer.len() <= usize::from(LARGEST_LIMIT));
            prop_assert_eq!(question.response_code(&answer), Some(0));
            let _ = question.response_code(&message);
        }
    }

    #[test]
    fn pointers_anywhere_end(
        labels in proptest::collection::vec((0..4u8, 0..40u8), 0..200),
        start in 0..60usize,
    ) {
        let bytes: Vec<u8> =
            labels.iter().flat_map(|(kind, low)| [kind * 64, *low]).collect();
        let _ = read_name(&bytes, start);
    }

    #[test]
    fn an_answer_can_be_cut_anywhere(end in 0..60usize, kind in any::<u16>()) {
        let question = Question::parse(&query("web.example", A, Some(1232))).unwrap();
        let answer = question.respond(Code::NoError, &[Data::Name("a.b")], 60, true);
        let cut = &answer[..end.min(answer.len())];
        let _ = (question.response_code(cut), Question::parse(cut));
        let other = Question { kind, ..question };
        prop_assert!(other.respond(Code::ServerFailure, &[], 0, true).len() < 60);
    }
}
