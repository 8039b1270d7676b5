use proptest::prelude::*;

use super::*;
use crate::{Attachment, Limits, Message};

fn pack(text: &str) -> Vec<u8> {
    let mut out = vec![7];
    from_json(text, &mut out).unwrap_or_else(|error| panic!("{text}: {error}"));
    out.split_off(1)
}

fn unpack(packed: &[u8]) -> Result<String, PackError> {
    let mut out = b"x".to_vec();
    let result = to_json(packed, &Limits::default(), &mut out);
    let text = String::from_utf8(out.split_off(1)).unwrap();
    if result.is_err() {
        assert_eq!(text, "");
    }
    result.map(|()| text)
}

#[test]
fn messages_come_and_go() {
    for text in [
        r#"["pull",1]"#,
        r#"["pipe"]"#,
        r#"["release",-3,1]"#,
        r#"["push",["pipeline",0,["square"],[3]]]"#,
        r#"["resolve",1,[[1,-1,127,128,-129,70000,-70000,4294967296,-4294967296,1.5,null,true,false]]]"#,
        r#"["resolve",1,{"a":{},"b":[[]],"":"é\n\"🦀"}]"#,
        r#"["resolve",1,9007199254740992]"#,
        r#"["resolve",1,["bytes","AQID"]]"#,
        r#"["resolve",1,["bytes","","Float64Array"]]"#,
        r#"["resolve",1,1e400]"#,
        r#"["resolve",1,-1e400]"#,
        r#"["reject",1,["error","Error","m",null,{"data":["bytes","AQ"]}]]"#,
        r#"["push",["remap",1,[],[["import",1]],[["pipeline",0,["f"],[["bytes","AQ"]]]]]]"#,
        r#"["resolve",1,["response",["bytes","AQ"],{"headers":[["a","b"]]}]]"#,
        r#"["resolve",1,["request","a:b",{"body":["bytes","AQ"]}]]"#,
    ] {
        assert_eq!(unpack(&pack(text)).unwrap(), text);
    }
}

#[test]
fn bytes_are_raw_where_they_are_bytes() {
    let bin = b"\xc4\x03\x01\x02\x03";
    let holds_bin = |text: &str| {
        let packed = pack(text);
        let found = packed.windows(bin.len()).any(|window| window == bin);
        (found, packed)
    };
    for text in [
        r#"["push",["bytes","AQID"]]"#,
        r#"["stream",["pipeline",1,["write"],[["bytes","AQID"]]]]"#,
        r#"["resolve",1,{"a":[["x",["bytes","AQID","ArrayBuffer"]]]}]"#,
        r#"["abort",["error","Error","m",null,{"a":["bytes","AQID"]}]]"#,
        r#"["push",["import",1,["x"],[["bytes","AQID"]]]]"#,
        r#"["push",["remap",1,[],[],[["bytes","AQID"]]]]"#,
        r#"["resolve",1,["response",["bytes","AQID"],{}]]"#,
        r#"["resolve",1,["request","a:b",{"body":["bytes","AQID"]}]]"#,
    ] {
        assert!(holds_bin(text).0, "{text}");
    }
    for text in [
        // Arguments, a path and headers are arrays of strings.
        r#"["push",["pipeline",0,["f"],["bytes","AQID"]]]"#,
        r#"["push",["pipeline",0,["bytes","AQID"]]]"#,
        r#"["resolve",1,[["bytes","AQID"]]]"#,
        r#"["resolve",1,["headers",[["bytes","AQID"]]]]"#,
        r#"["resolve",1,["request","a:b",{"cf":["bytes","AQID"]}]]"#,
    ] {
        let (found, packed) = holds_bin(text);
        assert!(!found, "{text}");
        assert_eq!(unpack(&packed).unwrap(), text);
    }
}

#[test]
fn spellings() {
    for (text, back) in [
        (" [ \"pull\" , 1 ] ", r#"["pull",1]"#),
        (r#"["resolve",1,1.0]"#, r#"["resolve",1,1]"#),
        (r#"["resolve",1,1e3]"#, r#"["resolve",1,1000]"#),
        (r#"["resolve",1,-0]"#, r#"["resolve",1,0]"#),
        (
            r#"["resolve",1,"\u0041\ud800"]"#,
            "[\"resolve\",1,\"A\u{fffd}\"]",
        ),
        (
            r#"["resolve",1,["bytes","-_8="]]"#,
            r#"["resolve",1,["bytes","+/8"]]"#,
        ),
        (
            r#"["resolve",1,18446744073709551615]"#,
            r#"["resolve",1,18446744073709552000]"#,
        ),
    ] {
        assert_eq!(unpack(&pack(text)).unwrap(), back);
    }
    // Integers and floats in the form of JavaScript's packer.
    assert_eq!(
        unpack(b"\xcf\x00\x20\x00\x00\x00\x00\x00\x00").unwrap(),
        "9007199254740992"
    );
    assert_eq!(unpack(b"\xca\x3f\xc0\x00\x00").unwrap(), "1.5");
    // Text that is not UTF-8.
    assert_eq!(unpack(b"\xa3a\xffb").unwrap(), "\"a\u{fffd}b\"");
}

#[test]
fn what_json_lacks_is_refused() {
    for (packed, error) in [
        (&b""[..], PackError::Truncated),
        (b"\x92\x01", PackError::Truncated),
        (b"\xdd\xff\xff\xff\xff\x01", PackError::Truncated),
        (b"\xdb\xff\xff\xff\xffx", PackError::Truncated),
        (b"\xcb\x00", PackError::Truncated),
        (b"\x01\x01", PackError::Trailing),
        (b"\xc1", PackError::Foreign("a reserved byte")),
        (b"\xd4\x01\x00", PackError::Foreign("an extension")),
        (
            b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
            PackError::Foreign("NaN"),
        ),
        (b"\x81\x01\x01", PackError::Key),
        (b"\xc4\x01\x00", PackError::StrayBytes),
        (b"\x92\xa4date\xc4\x01\x00", PackError::StrayBytes),
        (b"\x93\x01\xa5bytes\xc4\x01\x00", PackError::StrayBytes),
    ] {
        assert_eq!(unpack(packed).unwrap_err(), error, "{packed:?}");
    }
    for text in [
        "", "[", "{", "[1", "{\"a\"}", "{\"a\":}", "nul", "[1]x", "[1,]", "\"", "-",
    ] {
        let mut out = Vec::new();
        assert_eq!(from_json(text, &mut out), Err(PackError::NotJson), "{text}");
        assert!(out.is_empty());
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let mut out = Vec::new();
    let deep = vec![0x91; 100_000];
    let error = to_json(&deep, &Limits::default(), &mut out).unwrap_err();
    assert!(error == PackError::TooDeep && error.is_limit());
    let error = from_json(&"[".repeat(100_000), &mut out).unwrap_err();
    assert_eq!(error, PackError::TooDeep);

    // Each byte becomes four.
    let mut nulls = vec![0xdc, 0xff, 0xff];
    nulls.resize(3 + 0xffff, 0xc0);
    let limits = Limits {
        max_message_size: 1000,
        ..Limits::default()
    };
    let error = to_json(&nulls, &limits, &mut out).unwrap_err();
    assert_eq!(error, PackError::TooLarge { limit: 3000 });
    let error = to_json(b"\xda\xff\xffabc", &limits, &mut out).unwrap_err();
    assert_eq!(error, PackError::Truncated);
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_a_text_or_an_error(packed: Vec<u8>) {
        if let Ok(text) = unpack(&packed) {
            // Any result is JSON, and can be packed again.
            let mut again = Vec::new();
            from_json(&text, &mut again).unwrap();
        }
    }

    #[test]
    fn any_text_is_packed_or_an_error(text in r#"[\[\]{}",:0-9a-e\\ ]{0,40}"#) {
        let mut out = Vec::new();
        if from_json(&text, &mut out).is_err() {
            prop_assert!(out.is_empty());
        }
    }

    #[test]
    fn bytes_cross(bytes: Vec<u8>) {
        let message = Message::Push(crate::Expr::Bytes(bytes, None));
        let back: Message = unpack(&pack(&message.to_string())).unwrap().parse().unwrap();
        prop_assert_eq!(back, message);
    }
}

#[test]
fn the_deepest_message_fits_a_small_stack() {
    let deep = || {
        let (open, close) = ("[".repeat(1_000), "]".repeat(1_000));
        let text = format!("{open}{close}");
        assert_eq!(unpack(&pack(&text)).unwrap(), text);
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(deep).unwrap().join().unwrap();
}

type Kept = (String, Vec<Attachment<Vec<u8>>>);

/// Returns the text of a message and its attachments, for byte strings of at least four bytes.
fn unpack_kept(packed: &[u8], limits: &Limits) -> Result<Kept, PackError> {
    let (mut text, mut attachments) = (Vec::new(), Vec::new());
    let keep = |bytes: &[u8]| bytes.to_vec();
    super::unpack(packed, limits, 4, &keep, &mut text, &mut attachments)?;
    Ok((String::from_utf8(text).unwrap(), attachments))
}

#[test]
fn long_bytes_are_kept_beside_the_text() {
    for (text, kept) in [
        (
            r#"["resolve",1,["bytes","AQIDBA"]]"#,
            r#"["resolve",1,["bytes",""]]"#,
        ),
        (
            r#"["resolve",1,[[["bytes","AQID"],["bytes","AQIDBA","Int16Array"],{"a":["bytes","AQIDBAU"]}]]]"#,
            r#"["resolve",1,[[["bytes","AQID"],["bytes","","Int16Array"],{"a":["bytes",""]}]]]"#,
        ),
        (
            // An array that only looks like a form.
            r#"["resolve",1,[["bytes",["bytes","AQIDBA"],["bytes","AQIDBA"]]]]"#,
            r#"["resolve",1,[["bytes",["bytes",""],["bytes",""]]]]"#,
        ),
        (
            // The instructions of a map are text.
            r#"["push",["remap",1,[],[],[["pipeline",0,["f"],[["bytes","AQIDBA"]]]]]]"#,
            r#"["push",["remap",1,[],[],[["pipeline",0,["f"],[["bytes","AQIDBA"]]]]]]"#,
        ),
        (
            r#"["push",["pipeline",0,["f"],[["remap",1,[],[],[["bytes","AQIDBA"]]],["bytes","AQIDBA"]]]]"#,
            r#"["push",["pipeline",0,["f"],[["remap",1,[],[],[["bytes","AQIDBA"]]],["bytes",""]]]]"#,
        ),
        (
            // These are left for the scanner to reject.
            r#"["resolve",1,["bytes","AQIDBAU","Int16Array"]]"#,
            r#"["resolve",1,["bytes","AQIDBAU","Int16Array"]]"#,
        ),
    ] {
        let packed = pack(text);
        let (short, attachments) = unpack_kept(&packed, &Limits::default()).unwrap();
        assert_eq!(short, kept);
        assert_eq!(attachments.len(), kept.matches(r#"["bytes","""#).count());
        let mut whole = Vec::new();
        Attachment::inline(short.as_bytes(), &attachments, &mut whole);
        assert_eq!(String::from_utf8(whole).unwrap(), text);
        // Back again, without base64.
        let mut again = Vec::new();
        super::pack(&short, &attachments, &mut again).unwrap();
        assert_eq!(again, packed, "{text}");
    }
    for odd in [
        // Names that are not containers, bytes instead of a name, and additional bytes.
        &b"\x93\xa7resolve\x01\x93\xa5bytes\xc4\x04abcd\x05"[..],
        b"\x93\xa7resolve\x01\x93\xa5bytes\xc4\x04abcd\xa2xy",
        b"\x93\xa7resolve\x01\x93\xa5bytes\xc4\x04abcd\x92\xa5bytes\xc4\x04abcd",
        b"\x93\xa7resolve\x01\x93\xa5bytes\xc4\x04abcd\xa4\"]\"]",
    ] {
        let (text, attachments) = unpack_kept(odd, &Limits::default()).unwrap();
        let mut whole = Vec::new();
        Attachment::inline(text.as_bytes(), &attachments, &mut whole);
        assert_eq!(String::from_utf8(whole).unwrap(), unpack(odd).unwrap());
        crate::scan_frame(&text, &Limits::default(), &mut Vec::new()).unwrap_err();
    }
}

#[test]
fn what_is_kept_counts_as_text() {
    let text = r#"["resolve",1,["bytes","AQIDBAUGBwgJ"]]"#;
    let limits = |max_message_size| Limits {
        max_message_size,
        ..Limits::default()
    };
    let packed = pack(text);
    assert!(unpack_kept(&packed, &limits(text.len())).is_ok());
    let limit = text.len() - 1;
    assert_eq!(
        unpack_kept(&packed, &limits(limit)).unwrap_err(),
        PackError::TooLarge { limit }
    );
    assert!(unpack_kept(&packed, &limits(4)).unwrap_err().is_limit());
}
