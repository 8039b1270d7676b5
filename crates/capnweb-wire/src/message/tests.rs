use super::*;

/// Messages in the form in which they are written.
const MESSAGES: &[&str] = &[
    r#"["push",["pipeline",0,["add"],[2,3]]]"#,
    r#"["push",["remap",1,["list",0],[["import",2],["export",-3]],[["pipeline",-1,["f"],[["import",0]]],["what"]]]]"#,
    r#"["stream",["pipeline",3,["write"],[["bytes","AQID"]]]]"#,
    r#"["pipe"]"#,
    r#"["pull",1]"#,
    r#"["resolve",1,{"a":1,"b":[[1,"x",null,true,false,["undefined"]]],"":{}}]"#,
    r#"["resolve",1,[[["inf"],["-inf"],["nan"],-0,1.5,1e+21,1e-7]]]"#,
    r#"["resolve",1,["bigint","-123456789012345678901234567890"]]"#,
    r#"["resolve",1,[[["date",1700000000000],["date",null],["bytes",""],["bytes","AQI","Int16Array"]]]]"#,
    r#"["resolve",1,[[["url","https://example.com/"],["headers",[["a","b"],["c",""]]]]]]"#,
    r#"["resolve",1,["request","https://example.com/",{"method":"POST","duplex":"half","headers":[["a","b"]],"body":["readable",3]}]]"#,
    r#"["resolve",1,["response",null,{"status":204,"statusText":"","headers":[]}]]"#,
    r#"["resolve",1,["response","x",{}]]"#,
    r#"["resolve",1,["blob","text/plain",["readable",3]]]"#,
    r#"["resolve",-1,[[["import",-1],["import",0,[]],["import",1,["a",0,0.5]],["pipeline",1],["pipeline",1,[],[]]]]]"#,
    r#"["resolve",1,[[["export",-1],["promise",-2],["writable",-3],["readable",4]]]]"#,
    r#"["reject",2,["error","TypeError","no"]]"#,
    r#"["reject",2,["error","Error","no","at x"]]"#,
    r#"["reject",2,["error","Error","no",null,{"code":7,"cause":["error","A","b"]}]]"#,
    r#"["reject",2,"half \ud800 \"quoted\" \n é"]"#,
    r#"["release",-1,2]"#,
    r#"["abort",["error","Error","bye"]]"#,
];

#[test]
fn every_form_comes_out_as_it_went_in() {
    for text in MESSAGES {
        let message: Message = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(message.to_string(), *text);
    }
}

#[test]
fn what_means_nothing_is_left_out() {
    for (text, written) in [
        (" [ \"push\" , [ [ 1 , 2 ] ] , 3 ] ", r#"["push",[[1,2]]]"#),
        (r#"["abort"]"#, r#"["abort",["undefined"]]"#),
        (r#"["push",["nan",[1],{"a":2}]]"#, r#"["push",["nan"]]"#),
        (r#"["push",["export",1.0,"x"]]"#, r#"["push",["export",1]]"#),
        (r#"["push",1e400]"#, r#"["push",["inf"]]"#),
        (r#"["push",["bytes","-_=="]]"#, r#"["push",["bytes","+w"]]"#),
        (r#"["push","\u0041\/"]"#, r#"["push","A/"]"#),
        (
            r#"["push",["error","E","m",["no"],{"name":["what"],"x":1},7]]"#,
            r#"["push",["error","E","m",null,{"x":1}]]"#,
        ),
        (
            r#"["push",["bigint","-007"]]"#,
            r#"["push",["bigint","-7"]]"#,
        ),
    ] {
        let message: Message = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(message.to_string(), written);
        assert_eq!(
            written.parse::<Message>().map(|again| again.to_string()),
            Ok(written.to_owned())
        );
    }
}

#[test]
fn bad_messages_are_refused() {
    for text in ["", "[]", r#"["push"]"#, r#"["push",[1]]"#, r#"["push",1"#] {
        assert!(text.parse::<Message>().is_err(), "{text}");
    }
    assert!(r#"["foo"]"#.parse::<Expr>().is_err());
}

#[test]
fn instructions_can_be_read_or_not() {
    let expr: Expr = r#"["remap",0,[],[],[["pipeline",0,["x"]],["what"]]]"#
        .parse()
        .unwrap();
    let Expr::Remap(map) = expr else { panic!() };
    let limits = Limits::default();
    let first = map.instructions[0].parse(&limits).unwrap();
    assert!(matches!(first, Expr::Pipeline(_)));
    assert_eq!(RawJson::from(&first), map.instructions[0]);
    assert!(map.instructions[1].parse(&limits).is_err());
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let expr: Expr = r#"{"a":1,"b":2,"\u0061":3}"#.parse().unwrap();
    assert_eq!(expr.get("a"), Some(&Expr::Number(3.0)));
    assert_eq!(expr.get("c"), None);
    assert_eq!(Expr::Null.get("a"), None);
}

#[test]
fn the_deepest_tree_fits_on_the_stack() {
    let text = format!("{}0{}", "[[".repeat(511), "]]".repeat(511));
    let limits = Limits {
        max_depth: usize::MAX,
        ..Limits::default()
    };
    let deep = Expr::parse(&text, &limits).unwrap();
    assert_eq!(deep.to_string(), text);
    let wide = format!(
        "{}0{}",
        "[\"pipeline\",0,[],[".repeat(511),
        "]]".repeat(511)
    );
    assert_eq!(Expr::parse(&wide, &limits).unwrap().to_string(), wide);
}
