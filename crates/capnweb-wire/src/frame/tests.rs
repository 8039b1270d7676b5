use super::*;
use crate::Form;

fn scan(text: &str) -> Result<(Frame<'_>, Vec<Hole>), WireError> {
    let mut holes = Vec::new();
    let frame = scan_frame(text, &Limits::default(), &mut holes)?;
    Ok((frame, holes))
}

fn frame(text: &str) -> Frame<'_> {
    scan(text).unwrap().0
}

#[test]
fn every_message() {
    assert_eq!(frame(r#"["push",1]"#), Frame::Push("1"));
    assert_eq!(frame(r#"["stream",[[1]]]"#), Frame::Stream("[[1]]"));
    assert_eq!(frame(r#"["pipe"]"#), Frame::Pipe);
    assert_eq!(frame(r#"["pull",7]"#), Frame::Pull(7));
    assert_eq!(frame(r#"["resolve",-3,null]"#), Frame::Resolve(-3, "null"));
    assert_eq!(
        frame(r#"["reject",1,["error","Error","no"]]"#),
        Frame::Reject(1, r#"["error","Error","no"]"#)
    );
    assert_eq!(
        frame(r#"["release",-1,2]"#),
        Frame::Release { id: -1, count: 2 }
    );
    assert_eq!(frame(r#"["abort","why"]"#), Frame::Abort(r#""why""#));
    assert_eq!(frame(r#"["abort"]"#), Frame::Abort(r#"["undefined"]"#));
}

#[test]
fn white_space_and_surplus_elements_are_ignored() {
    assert_eq!(
        frame(" [ \"push\" ,\r\n\t[ [ 1 , 2 ] ] , {\"a\" : [ ] } ] \r\n"),
        Frame::Push("[ [ 1 , 2 ] ]")
    );
    assert_eq!(frame(r#"["pipe",["what","ever"],[]]"#), Frame::Pipe);
    assert_eq!(frame(r#"["pull",1.0,2]"#), Frame::Pull(1));
    assert_eq!(
        frame(r#"["release",1,0,0]"#),
        Frame::Release { id: 1, count: 0 }
    );
}

#[test]
fn spans_count_from_the_expression() {
    let text = r#" ["resolve" , 12 , {"x":["import",-1,["é",0],[ ["export",-2] ]]}]"#;
    let (frame, holes) = scan(text).unwrap();
    let expr = frame.expression().unwrap();
    assert_eq!(holes.len(), 2);
    assert_eq!(
        holes[0].span.of(expr),
        r#"["import",-1,["é",0],[ ["export",-2] ]]"#
    );
    assert_eq!(holes[0].path.unwrap().of(expr), r#"["é",0]"#);
    assert_eq!(holes[0].args.unwrap().of(expr), r#"[ ["export",-2] ]"#);
    assert_eq!(holes[0].inner, 1);
    assert_eq!(holes[1].form, Form::Export);
    assert_eq!(holes[1].span.of(expr), r#"["export",-2]"#);
}

#[test]
fn holes_of_the_frame_before_are_forgotten() {
    let mut holes = Vec::new();
    let limits = Limits::default();
    scan_frame(r#"["push",["import",0]]"#, &limits, &mut holes).unwrap();
    assert_eq!(holes.len(), 1);
    scan_frame(r#"["pipe"]"#, &limits, &mut holes).unwrap();
    assert!(holes.is_empty());
}

#[test]
fn violations() {
    let found = |found: &str| found.into();
    for (text, error) in [
        ("", WireError::NotAMessage { found: found("") }),
        (
            "{\"push\":1}",
            WireError::NotAMessage {
                found: found("{\"push\":1}"),
            },
        ),
        (
            "[1]",
            WireError::NotAMessage {
                found: found("[1]"),
            },
        ),
        (
            "[\"foo\"]",
            WireError::UnknownMessage {
                found: found("[\"foo\"]"),
            },
        ),
        (
            r#"["push"]"#,
            WireError::MissingExpression { message: "push" },
        ),
        (
            r#"["resolve",1]"#,
            WireError::MissingExpression { message: "resolve" },
        ),
        (
            r#"["resolve","1",1]"#,
            WireError::BadMessageId { message: "resolve" },
        ),
        (r#"["pull"]"#, WireError::BadMessageId { message: "pull" }),
        (
            r#"["pull",0.5]"#,
            WireError::BadMessageId { message: "pull" },
        ),
        (
            r#"["reject",9007199254740992,1]"#,
            WireError::BadMessageId { message: "reject" },
        ),
        (
            r#"["pull",01]"#,
            WireError::BadMessageId { message: "pull" },
        ),
        (r#"["pull",-]"#, WireError::BadMessageId { message: "pull" }),
        (r#"["release",1]"#, WireError::BadRefcount),
        (r#"["release",1,-1]"#, WireError::BadRefcount),
        (r#"["release",1,null]"#, WireError::BadRefcount),
        (
            r#"["push",1"#,
            WireError::Syntax {
                at: 9,
                expected: "',' or ']'",
            },
        ),
        (
            r#"["push",1] x"#,
            WireError::Syntax {
                at: 11,
                expected: "the end of the text",
            },
        ),
        (
            r#"["push",01]"#,
            WireError::Syntax {
                at: 9,
                expected: "',' or ']'",
            },
        ),
        (
            r#"["push",1,]"#,
            WireError::Syntax {
                at: 10,
                expected: "a value",
            },
        ),
    ] {
        assert_eq!(scan(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn size_is_counted_in_utf16_code_units() {
    let scan = |text: &str, max_message_size| {
        let limits = Limits {
            max_message_size,
            ..Limits::default()
        };
        scan_frame(text, &limits, &mut Vec::new()).map(|_| ())
    };
    for (text, units) in [
        (r#"["push","aaaa"]"#, 15),
        (r#"["push","éééé"]"#, 15),
        ("[\"push\",\"\u{ffff}\u{ffff}\u{ffff}\u{ffff}\"]", 15),
        (r#"["push","😀😀"]"#, 15),
    ] {
        assert_eq!(text.encode_utf16().count(), units);
        assert_eq!(scan(text, units), Ok(()), "{text}");
        assert_eq!(
            scan(text, units - 1),
            Err(WireError::MessageTooLarge { limit: units - 1 }),
            "{text}"
        );
    }
}

/// Returns the IDs of those attachments that are holes, for a text in which each `["bytes","",…]`
/// has `len` bytes.
fn attached(text: &str, len: usize) -> Result<Vec<i64>, WireError> {
    let mut attachments = Vec::new();
    for (at, _) in text.match_indices(r#"["bytes",""#) {
        let form = &text[at..=at + text[at..].find(']').unwrap()];
        let name = form.split('"').nth(5);
        attachments.push(Attachment {
            span: crate::Span {
                start: u32::try_from(at).unwrap(),
                end: u32::try_from(at + form.len()).unwrap(),
            },
            bytes: vec![0; len],
            container: name.map_or(crate::Container::Uint8Array, |name| {
                crate::Container::from_name(name).unwrap()
            }),
        });
    }
    let mut holes = Vec::new();
    let frame = scan_attached(text, &attachments, &Limits::default(), &mut holes)?;
    let expr = frame.expression().unwrap();
    let found = holes.iter().filter(|hole| hole.form == Form::Bytes);
    let found = found.map(|hole| {
        assert!(hole.span.of(expr).starts_with(r#"["bytes",""#), "{text}");
        assert_eq!(hole.inner, 0);
        hole.id
    });
    let found = found.collect();
    // Without attachments, the text has the same meaning.
    let known = holes.iter().filter(|hole| hole.form != Form::Bytes);
    let (plain, all) = scan(text)?;
    assert_eq!(plain, frame);
    assert!(
        known
            .map(|hole| hole.span)
            .eq(all.iter().map(|hole| hole.span))
    );
    Ok(found)
}

#[test]
fn bytes_beside_the_text_are_holes_where_they_are_values() {
    for (text, expected) in [
        (r#"["push",["bytes",""]]"#, &[0][..]),
        (
            r#"["push",[[["bytes",""],{"a":["bytes","","DataView"]}]]]"#,
            &[0, 1],
        ),
        (
            r#"["stream",["pipeline",1,["write"],[["bytes",""]]]]"#,
            &[0],
        ),
        (
            r#" [ "resolve", 1, {"a": ["bytes","","Float64Array"] } ]"#,
            &[0],
        ),
        (
            r#"["reject",1,["error","Error","m",null,{"a":["bytes",""]}]]"#,
            &[0],
        ),
        (
            r#"["resolve",1,["request","a:b",{"body":["bytes",""],"cf":["bytes",""]}]]"#,
            &[0],
        ),
        (r#"["resolve",1,["response",["bytes",""],{}]]"#, &[0]),
        // An attachment after the expression.
        (r#"["push",5,["bytes",""]]"#, &[]),
        (r#"["push",["pipeline",0,["m"],[1]],["bytes",""]]"#, &[]),
        (
            r#"["stream",["pipeline",0,["m"],[["bytes",""]]],["bytes",""]]"#,
            &[0],
        ),
        (r#"["resolve",1,5,["bytes",""]]"#, &[]),
        (r#"["reject",1,["error","Error","m"],[["bytes",""]]]"#, &[]),
        (r#"["abort",5,["bytes",""]]"#, &[]),
        // Texts that only look like a form, or that are invalid.
        (
            r#"["push",["pipeline",0,["bytes",""],[["bytes",""]]]]"#,
            &[1],
        ),
        (r#"["push",["pipeline",0,["m"],["bytes",""]]]"#, &[]),
        (r#"["push",[["bytes",""]]]"#, &[]),
        (r#"["push",[[["bytes",""]]]]"#, &[0]),
        (
            r#"["push",["remap",0,["bytes",""],[["import",1]],[["bytes",""]]]]"#,
            &[],
        ),
        (r#"["push",["date",0,["bytes",""]]]"#, &[]),
        (r#"["push",["export",-1,["bytes",""]]]"#, &[]),
        (
            r#"["push",["error","Error","m",["bytes",""],{"stack":["bytes",""],"a":1},["bytes",""]]]"#,
            &[],
        ),
    ] {
        assert_eq!(attached(text, 24).unwrap(), expected, "{text}");
    }
    // The count of a hole includes the holes inside it.
    let text = r#"["push",["pipeline",0,["m"],[["bytes",""],["import",1,["n"],[["bytes",""]]]]]]"#;
    assert_eq!(attached(text, 1).unwrap(), [0, 1]);
    assert!(matches!(
        attached(r#"["push",["bytes","","Float64Array"]]"#, 12),
        Err(WireError::BadContainerLength { length: 12, .. })
    ));
    // An attachment with another container or position than in the text does not count.
    let text = r#"["push",["bytes",""]]"#;
    for (start, end, container) in [
        (8, 20, crate::Container::DataView),
        (8, 19, crate::Container::Uint8Array),
        (7, 20, crate::Container::Uint8Array),
        (8, 900, crate::Container::Uint8Array),
    ] {
        let span = crate::Span { start, end };
        let attachment = Attachment {
            span,
            bytes: [0; 3],
            container,
        };
        let mut holes = Vec::new();
        scan_attached(text, &[attachment], &Limits::default(), &mut holes).unwrap();
        assert_eq!(holes, []);
    }
}

#[test]
fn a_note_is_a_short_string_after_the_expression_of_a_push() {
    let long = "x".repeat(256);
    let call = r#"["pipeline",0,["m"],["a","b"]]"#;
    for (text, expected) in [
        (format!(r#"["push",{call},"note"]"#), Some("note")),
        (
            format!(r#" [ "push" , {call} , "note" , 5 ] "#),
            Some("note"),
        ),
        (format!(r#"["push",{call},""]"#), Some("")),
        (r#"["push","a","b"]"#.to_owned(), Some("b")),
        (format!(r#"["push",{call},"{long}"]"#), Some(long.as_str())),
        (format!(r#"["push",{call},"{long}x"]"#), None),
        (format!(r#"["push",{call},"\""]"#), None),
        (format!(r#"["push",{call},["note"]]"#), None),
        (format!(r#"["push",{call}]"#), None),
        (r#"["push","a"]"#.to_owned(), None),
    ] {
        let frame = scan_frame(&text, &Limits::default(), &mut Vec::new()).unwrap();
        let expression = frame.expression().unwrap();
        assert_eq!(push_note(&text, expression), expected, "{text}");
        assert_eq!(push_note(&text, "elsewhere"), None);
    }
}
