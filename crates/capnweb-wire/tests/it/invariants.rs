//! Invariants of arbitrary texts.

use capnweb_wire::{Frame, Hole, Limits, Message, Span, WireError, scan_expr, scan_frame, steps};
use proptest::prelude::*;

use crate::generate;

/// Scans a text and, if it is accepted, checks the scanner's promises about it.
fn check(text: &str) -> Result<(), WireError> {
    let limits = Limits::default();
    let mut holes = Vec::new();
    let frame = match scan_frame(text, &limits, &mut holes) {
        Ok(frame) => frame,
        Err(error) => {
            let message = error.to_string();
            assert!(message.chars().count() < 200, "{message}");
            assert!(Message::parse(text, &limits).is_err());
            return Err(error);
        }
    };
    if let Some(expr) = frame.expression() {
        let mut again = Vec::new();
        scan_expr(expr, &limits, &mut again).unwrap();
        assert_eq!(again, holes);
        let all = Span {
            start: 0,
            end: u32::try_from(expr.len()).unwrap(),
        };
        check_holes(expr, all, &holes);
    } else {
        assert!(holes.is_empty());
    }

    // The plain tree agrees, and reading its text again leads to the same text.
    let written = Message::parse(text, &limits).unwrap().to_string();
    let again = Message::parse(&written, &limits).unwrap().to_string();
    assert_eq!(again, written);
    let mut rewritten = Vec::new();
    let reframed = scan_frame(&written, &limits, &mut rewritten).unwrap();
    assert_eq!(
        std::mem::discriminant(&reframed),
        std::mem::discriminant(&frame)
    );
    assert_eq!(rewritten.len(), holes.len());
    Ok(())
}

/// Checks that holes are well-formed, lie inside `around`, and follow one another. The holes inside
/// a hole come next in the list.
fn check_holes(text: &str, around: Span, holes: &[Hole]) {
    let mut rest = holes;
    let mut before = around.start;
    while let Some((hole, after)) = rest.split_first() {
        let inner = usize::try_from(hole.inner).unwrap();
        assert!(before <= hole.span.start && hole.span.end <= around.end);
        before = hole.span.end;
        assert!(hole.span.of(text).starts_with('['));
        assert!(hole.span.of(text).ends_with(']'));
        if let Some(path) = hole.path {
            let parts: Vec<serde::de::IgnoredAny> = serde_json::from_str(path.of(text)).unwrap();
            assert_eq!(steps(path.of(text)).count(), parts.len());
        }
        check_holes(text, hole.span, &after[..inner]);
        rest = &after[inner..];
    }
}

#[test]
fn valid_frames_are_accepted() {
    for text in [
        r#"["push",["pipeline",0,["add"],[2,["import",1]]]]"#,
        r#"["pipe"]"#,
        r#"["push",["remap",1,[],[["export",-1]],[]]]"#,
    ] {
        assert_eq!(check(text), Ok(()), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_keeps_the_scanners_promises(text: String) {
        let _ = check(&text);
    }

    #[test]
    fn any_tokens_keep_the_scanners_promises(text in r#"[\[\]{},:"\\ 019.eE+\-a-fnrtu]{0,40}"#) {
        let _ = check(&text);
        let _ = check(&format!("[\"push\",{text}]"));
        let _ = check(&format!("[\"push\",[[{text}]]]"));
    }

    #[test]
    fn damaged_messages_keep_the_scanners_promises(text in generate::damaged()) {
        let _ = check(&text);
    }

    #[test]
    fn written_messages_are_accepted(message in generate::message(), spaces in generate::spaces()) {
        prop_assert_eq!(check(&generate::loosen(&message.to_string(), &spaces)), Ok(()));
    }

    #[test]
    fn every_prefix_of_a_message_is_refused(message in generate::message(), cut: prop::sample::Index) {
        let text = message.to_string();
        let cuts: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
        prop_assert!(check(&text[..*cut.get(&cuts)]).is_err());
    }
}

#[test]
fn a_frame_without_an_expression_has_no_holes() {
    let mut holes = Vec::new();
    let frame = scan_frame("[\"pull\",4]", &Limits::default(), &mut holes).unwrap();
    assert_eq!(frame, Frame::Pull(4));
    assert_eq!(frame.expression(), None);
    assert!(holes.is_empty());
}
