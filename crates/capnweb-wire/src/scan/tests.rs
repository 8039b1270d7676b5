use super::*;

fn scan(text: &str) -> Result<Vec<Hole>, WireError> {
    let mut holes = Vec::new();
    scan_expr(text, &Limits::default(), &mut holes)?;
    Ok(holes)
}

/// Scans an expression that must be good. Returns its holes as text, each with the number of those
/// inside.
fn holes(text: &str) -> Vec<(String, u32)> {
    let holes = scan(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = holes.iter().map(|hole| {
        let part = hole.span.of(text);
        assert!(part.contains(hole.form.name()), "{part}");
        (part.to_owned(), hole.inner)
    });
    found.collect()
}

fn accept(texts: &[&str]) {
    for text in texts {
        assert_eq!(scan(text).map(|_| ()), Ok(()), "{text}");
    }
}

fn reject(texts: &[&str], expected: &WireError) {
    for text in texts {
        assert_eq!(scan(text).as_ref(), Err(expected), "{text}");
    }
}

/// Rejections whose error repeats a part of the text.
fn reject_as(texts: &[&str], expected: fn(&WireError) -> bool) {
    for text in texts {
        let error = scan(text).expect_err(text);
        assert!(expected(&error), "{text}: {error:?}");
    }
}

#[test]
fn plain_json() {
    accept(&[
        "0",
        "-0",
        "1e400",
        "true",
        "false",
        "null",
        r#""""#,
        r#""\ud800""#,
        "{}",
        " { \"a\" : { } ,\n\"a\":1 } ",
        "[[]]",
        "[ [ ] ]",
        r#"[[1,"a",null,{"b":[[2]]}]]"#,
        r#"{"__proto__":{"toJSON":1}}"#,
    ]);
    for text in [
        "",
        " ",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "tru",
        "nul",
        "truex",
        "+1",
        "01",
        ".5",
        "1.",
        "\"\t\"",
        "[[1,]]",
        "[[1 2]]",
        "[[1]",
        "[[1]}",
        "{\"a\":1]",
        "[[,1]]",
        "1 1",
        "\u{feff}1",
        "NaN",
    ] {
        let error = scan(text).expect_err(text);
        assert!(
            matches!(error, WireError::Syntax { .. }),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn arrays_must_be_escaped_or_forms() {
    reject_as(
        &[
            "[]",
            "[1]",
            "[null,1]",
            "[[1],2]",
            "[[],[]]",
            "[{}]",
            r#"["foo"]"#,
            r#"["Import",1]"#,
            r#"["toString"]"#,
            r#"["\u0069mport",1]"#,
            r#"[["ok"],["date",0]]"#,
            r#"{"a":[[["what",1]]]}"#,
        ],
        |error| matches!(error, WireError::UnknownForm { .. }),
    );
    // The error in the JSON takes precedence.
    reject_as(&["[1", "[1}", "[null,tru]"], |error| {
        matches!(error, WireError::Syntax { .. })
    });
}

#[test]
fn undefined_and_odd_numbers() {
    accept(&[
        r#"["undefined"]"#,
        r#"["inf"]"#,
        r#"["-inf"]"#,
        r#"["nan", "surplus", [1]]"#,
    ]);
    reject(
        &[r#"["undefined",1]"#],
        &WireError::FormLength { form: "undefined" },
    );
}

#[test]
fn bigints() {
    accept(&[
        r#"["bigint","0"]"#,
        r#"["bigint","-12345678901234567890"]"#,
        r#"["bigint","007",1]"#,
    ]);
    reject(
        &[
            r#"["bigint",1]"#,
            r#"["bigint",""]"#,
            r#"["bigint","-"]"#,
            r#"["bigint","--1"]"#,
            r#"["bigint","1.5"]"#,
            r#"["bigint","0x10"]"#,
            r#"["bigint"," 1"]"#,
            r#"["bigint","١"]"#,
        ],
        &WireError::BadBigInt,
    );
    reject(
        &[r#"["bigint"]"#],
        &WireError::FormLength { form: "bigint" },
    );
}

#[test]
fn the_bigint_limit_counts_the_sign() {
    let limits = Limits {
        max_bigint_digits: 4,
        ..Limits::default()
    };
    let scan = |text| scan_expr(text, &limits, &mut Vec::new());
    assert_eq!(scan(r#"["bigint","1234"]"#), Ok(()));
    assert_eq!(scan(r#"["bigint","-123"]"#), Ok(()));
    let too_long = Err(WireError::BigIntTooLong { limit: 4 });
    assert_eq!(scan(r#"["bigint","-1234"]"#), too_long);
    assert_eq!(scan(r#"["bigint","12345"]"#), too_long);
}

#[test]
fn dates() {
    accept(&[
        r#"["date",0]"#,
        r#"["date",-1.5e3]"#,
        r#"["date",1e400]"#,
        r#"["date",null]"#,
        r#"["date",1,2]"#,
    ]);
    reject(
        &[r#"["date","1"]"#, r#"["date",true]"#, r#"["date",["nan"]]"#],
        &WireError::BadDate,
    );
    reject(&[r#"["date"]"#], &WireError::FormLength { form: "date" });
}

#[test]
fn bytes() {
    accept(&[
        r#"["bytes",""]"#,
        r#"["bytes","AQID"]"#,
        r#"["bytes","AQ=="]"#,
        r#"["bytes","-_\/+"]"#,
        r#"["bytes","AQ","ArrayBuffer"]"#,
        r#"["bytes","AQIDBAUGBwg","Float64Array"]"#,
        r#"["bytes","AQI","Uint16Array",7]"#,
    ]);
    reject(
        &[
            r#"["bytes",1]"#,
            r#"["bytes","A"]"#,
            r#"["bytes","A?=="]"#,
            r#"["bytes","AQ==="]"#,
            r#"["bytes","A\u0000=="]"#,
        ],
        &WireError::BadBytes,
    );
    reject_as(
        &[
            r#"["bytes","","Uint128Array"]"#,
            r#"["bytes","",null]"#,
            r#"["bytes","",["Uint8Array"]]"#,
        ],
        |error| matches!(error, WireError::UnknownContainer { .. }),
    );
    reject(
        &[r#"["bytes","AQID","Int16Array"]"#],
        &WireError::BadContainerLength {
            length: 3,
            element: 2,
        },
    );
}

#[test]
fn errors() {
    accept(&[
        r#"["error","TypeError","no"]"#,
        r#"["error","X","",null]"#,
        r#"["error","X","","at y"]"#,
        r#"["error","X","",["not","evaluated"]]"#,
        r#"["error","X","",null,{"code":7,"cause":["error","Y","z"]}]"#,
        r#"["error","X","",null,{},["surplus"]]"#,
    ]);
    reject(
        &[
            r#"["error","X",1]"#,
            r#"["error",null,"m"]"#,
            r#"["error","X","m",null,null]"#,
            r#"["error","X","m",null,[[]]]"#,
        ],
        &WireError::BadErrorForm,
    );
    reject(
        &[r#"["error"]"#, r#"["error","X"]"#],
        &WireError::FormLength { form: "error" },
    );
    assert_eq!(
        holes(
            r#"["error","X","m",null,{"a":["export",-1],"name":["export",-2],"st\u0061ck":["?"]}]"#
        ),
        [(r#"["export",-1]"#.to_owned(), 0)]
    );
}

#[test]
fn urls() {
    accept(&[
        r#"["url","https:\/\/example.com\/a?b#c"]"#,
        r#"["url","data:,x"]"#,
    ]);
    reject(
        &[
            r#"["url","/relative"]"#,
            r#"["url",1]"#,
            r#"["url","http://"]"#,
        ],
        &WireError::BadUrl { form: "url" },
    );
    reject(
        &[r#"["url"]"#, r#"["url","a:b",1]"#],
        &WireError::FormLength { form: "url" },
    );
}

#[test]
fn headers() {
    accept(&[
        r#"["headers",[]]"#,
        r#"["headers",[["accept","*/*"],["X-Y","é "]]]"#,
        r#"["headers",[ [ "a" , "" ] ]]"#,
    ]);
    reject(
        &[
            r#"["headers",{}]"#,
            r#"["headers",["a","b"]]"#,
            r#"["headers",[["a"]]]"#,
            r#"["headers",[["a","b","c"]]]"#,
            r#"["headers",[["a",1]]]"#,
            r#"["headers",[["a b","c"]]]"#,
            r#"["headers",[["","c"]]]"#,
            r#"["headers",[["a","b\nc"]]]"#,
            r#"["headers",[["a","€"]]]"#,
        ],
        &WireError::BadHeaders { form: "headers" },
    );
    reject(
        &[r#"["headers"]"#, r#"["headers",[],1]"#],
        &WireError::FormLength { form: "headers" },
    );
}

#[test]
fn requests() {
    accept(&[
        r#"["request","https://a/",{}]"#,
        r#"["request","https://a/",{"method":"POST","headers":[["a","b"]],"body":"x","cache":"no-store"}]"#,
        r#"["request","https://a/",{"body":["bytes","AQ"],"headers":null,"signal":null}]"#,
        r#"["request","https://a/",{"whatever":["not","evaluated"]}]"#,
    ]);
    assert_eq!(
        holes(r#"["request","https://a/",{"duplex":"half","body":["readable",4]}]"#),
        [(r#"["readable",4]"#.to_owned(), 0)]
    );
    reject(
        &[r#"["request","/a",{}]"#, r#"["request",1,{}]"#],
        &WireError::BadUrl { form: "request" },
    );
    reject(
        &[
            r#"["request","https://a/",{"body":1}]"#,
            r#"["request","https://a/",{"bod\u0079":{}}]"#,
            r#"["request","https://a/",{"body":[["a"]]}]"#,
            r#"["request","https://a/",{"body":["export",-1]}]"#,
        ],
        &WireError::BadBody { form: "request" },
    );
    reject(
        &[r#"["request","https://a/",{"headers":{"a":"b"}}]"#],
        &WireError::BadHeaders { form: "request" },
    );
    reject_as(
        &[
            r#"["request","https://a/",null]"#,
            r#"["request","https://a/",[]]"#,
            r#"["request","https://a/",{"method":"A B"}]"#,
            r#"["request","https://a/",{"method":1}]"#,
            r#"["request","https://a/",{"signal":["export",1]}]"#,
        ],
        |error| matches!(error, WireError::BadInit { .. }),
    );
    reject(
        &[
            r#"["request"]"#,
            r#"["request","https://a/"]"#,
            r#"["request","https://a/",{},1]"#,
        ],
        &WireError::FormLength { form: "request" },
    );
}

#[test]
fn responses() {
    accept(&[
        r#"["response",null,{}]"#,
        r#"["response","x",{"status":404,"statusText":"Not Found","headers":[["a","b"]]}]"#,
        r#"["response",["bytes","AQ"],{"webSocket":null}]"#,
    ]);
    assert_eq!(
        holes(r#"["response",["readable",4],{}]"#),
        [(r#"["readable",4]"#.to_owned(), 0)]
    );
    reject(
        &[
            r#"["response",false,{}]"#,
            r#"["response",["undefined"],{}]"#,
            r#"["response",{},{}]"#,
        ],
        &WireError::BadBody { form: "response" },
    );
    reject_as(
        &[
            r#"["response",null,1]"#,
            r#"["response",null,{"status":99}]"#,
            r#"["response",null,{"status":"200"}]"#,
            r#"["response",null,{"statusText":"a\r\nb"}]"#,
            r#"["response",null,{"webSocket":{}}]"#,
        ],
        |error| matches!(error, WireError::BadInit { .. }),
    );
    reject(
        &[r#"["response",null]"#, r#"["response",null,{},1]"#],
        &WireError::FormLength { form: "response" },
    );
}

#[test]
fn blobs() {
    assert_eq!(
        holes(r#"["blob","text/plain",["readable",4]]"#),
        [(r#"["readable",4]"#.to_owned(), 0)]
    );
    reject(
        &[
            r#"["blob",1,["readable",4]]"#,
            r#"["blob","","text"]"#,
            r#"["blob","",["writable",4]]"#,
            r#"["blob","",[["readable",4]]]"#,
        ],
        &WireError::BadBlob,
    );
    reject(
        &[r#"["blob",""]"#, r#"["blob","",["readable",4],1]"#],
        &WireError::FormLength { form: "blob" },
    );
}

#[test]
fn references() {
    for name in ["import", "pipeline"] {
        let text = format!(r#"["{name}" , -5]"#);
        let hole = scan(&text).unwrap()[0];
        assert_eq!((hole.form.name(), hole.id, hole.inner), (name, -5, 0));
        assert_eq!((hole.path, hole.args), (None, None));

        let text = format!(r#"["{name}",5,[]]"#);
        let hole = scan(&text).unwrap()[0];
        assert_eq!(hole.path.unwrap().of(&text), "[]");
        assert_eq!(hole.args, None);

        let text = format!(r#"["{name}",1.0,["a" , 0], [ 1,[[2]] ]]"#);
        let hole = scan(&text).unwrap()[0];
        assert_eq!(hole.path.unwrap().of(&text), r#"["a" , 0]"#);
        assert_eq!(hole.args.unwrap().of(&text), "[ 1,[[2]] ]");
        assert_eq!(hole.span.of(&text), text);
    }
    for form in ["import", "pipeline"] {
        let reject = |rest: &str, expected: WireError| {
            let text = format!(r#"["{form}"{rest}]"#);
            assert_eq!(scan(&text), Err(expected), "{text}");
        };
        reject("", WireError::FormLength { form });
        reject(",1,[],[],1", WireError::FormLength { form });
        reject(r#","1""#, WireError::BadId { form });
        reject(",0.5", WireError::BadId { form });
        reject(",1e16", WireError::BadId { form });
        reject(",null", WireError::BadId { form });
        reject(r#",1,"a""#, WireError::BadPath { form });
        reject(",1,[null]", WireError::BadPath { form });
        reject(",1,[[0]]", WireError::BadPath { form });
        reject(r#",1,[],"a""#, WireError::BadArguments { form });
        reject(",1,[],null", WireError::BadArguments { form });
    }
}

#[test]
fn introductions() {
    for form in [Form::Export, Form::Promise, Form::Writable, Form::Readable] {
        let name = form.name();
        let text = format!(r#"["{name}",3,["surplus"]]"#);
        let hole = scan(&text).unwrap()[0];
        assert_eq!((hole.form, hole.id, hole.inner), (form, 3, 0));
        assert_eq!((hole.path, hole.args), (None, None));
        assert_eq!(hole.span.of(&text), text);
        let bad_id = Err(WireError::BadId { form: name });
        assert_eq!(scan(&format!(r#"["{name}","x"]"#)), bad_id);
        assert_eq!(
            scan(&format!(r#"["{name}"]"#)),
            Err(WireError::FormLength { form: name })
        );
    }
}

#[test]
fn holes_come_in_the_order_of_the_text() {
    let text = r#"[[["import",1],{"a":["pipeline",0,["f"],[["export",-1],["pipeline",0,["g"],[["promise",-2]]],["import",-3]]]},["export",-4]]]"#;
    let holes = scan(text).unwrap();
    let listed: Vec<_> = holes
        .iter()
        .map(|hole| (hole.form, hole.id, hole.inner))
        .collect();
    assert_eq!(
        listed,
        [
            (Form::Import, 1, 0),
            (Form::Pipeline, 0, 4),
            (Form::Export, -1, 0),
            (Form::Pipeline, 0, 1),
            (Form::Promise, -2, 0),
            (Form::Import, -3, 0),
            (Form::Export, -4, 0),
        ]
    );
    assert!(holes.is_sorted_by_key(|hole| hole.span.start));
}

#[test]
fn maps() {
    let text = r#"["remap",3,["list"],[["import",1], ["export",-2]],[["what","ever"],1,{}]]"#;
    let holes = scan(text).unwrap();
    assert_eq!(holes[0].form, Form::Remap);
    assert_eq!((holes[0].id, holes[0].inner), (3, 2));
    assert_eq!(holes[0].path.unwrap().of(text), r#"["list"]"#);
    assert_eq!(holes[0].args.unwrap().of(text), r#"[["what","ever"],1,{}]"#);
    assert_eq!((holes[1].form, holes[1].id), (Form::Import, 1));
    assert_eq!((holes[2].form, holes[2].id), (Form::Export, -2));
    assert_eq!(holes.len(), 3);

    let reject = |rest: &str, expected: WireError| {
        let text = format!(r#"["remap"{rest}]"#);
        assert_eq!(scan(&text), Err(expected), "{text}");
    };
    accept(&[r#"["remap",0,[],[],[]]"#]);
    let form = "remap";
    reject("", WireError::FormLength { form });
    reject(",0,[],[]", WireError::FormLength { form });
    reject(",0,[],[],[],1", WireError::FormLength { form });
    reject(r#","0",[],[],[]"#, WireError::BadId { form });
    reject(",0,1,[],[]", WireError::BadPath { form });
    reject(",0,[],{},[]", WireError::BadCaptures);
    reject(",0,[],[],{}", WireError::BadInstructions);
    for capture in [
        "1",
        "[]",
        r#"["import"]"#,
        r#"["pipeline",1]"#,
        r#"["import","1"]"#,
        r#"["import",1,[]]"#,
        r#"[["import",1]]"#,
    ] {
        let found = capture.to_owned() + "],[]]";
        reject(
            &format!(",0,[],[{capture}],[]"),
            WireError::BadCapture {
                found: found.into(),
            },
        );
    }
}

/// The largest depth limit that refuses `text`, found by trying.
fn depth_of(text: &str) -> usize {
    let fits = |max_depth| {
        let limits = Limits {
            max_depth,
            ..Limits::default()
        };
        match scan_expr(text, &limits, &mut Vec::new()) {
            Ok(()) => true,
            Err(WireError::TooDeep { limit }) => {
                assert_eq!(limit, max_depth);
                false
            }
            Err(error) => panic!("{text}: {error}"),
        }
    };
    let depth = (0..20).find(|&max_depth| fits(max_depth + 1)).unwrap();
    assert!(!fits(depth), "{text}");
    depth
}

#[test]
fn depth_is_counted_as_the_reference_does() {
    for (text, depth) in [
        ("1", 0),
        ("[[]]", 0),
        ("{}", 0),
        (r#"["date",0]"#, 0),
        ("[[1]]", 1),
        (r#"{"a":[[{"b":1}]]}"#, 3),
        (r#"["import",1,["a","b"]]"#, 0),
        (r#"["import",1,[],[]]"#, 0),
        (r#"["import",1,[],[1]]"#, 1),
        (r#"["pipeline",0,[],[["pipeline",0,[],[[[1]]]]]]"#, 3),
        (r#"["error","a","b",null,{}]"#, 0),
        (r#"["error","a","b",null,{"c":[[1]]}]"#, 2),
        (r#"["response","x",{}]"#, 1),
        (r#"["request","a:b",{"body":null}]"#, 1),
        (r#"["request","a:b",{"method":"X"}]"#, 0),
        (r#"["blob","",["readable",1]]"#, 1),
        (r#"["remap",0,[],[],[[[1]]]]"#, 1),
    ] {
        assert_eq!(depth_of(text), depth, "{text}");
    }
}

#[test]
fn nesting_is_bounded_whatever_the_limits() {
    let unlimited = Limits {
        max_depth: usize::MAX,
        ..Limits::default()
    };
    let deep = |open: &str, close: &str, levels: usize| {
        format!("{}0{}", open.repeat(levels), close.repeat(levels))
    };
    for (open, close) in [
        ("[[", "]]"),
        ("{\"a\":", "}"),
        ("[\"pipeline\",0,[],[", "]]"),
        ("[\"error\",\"\",\"\",null,{\"a\":", "}]"),
    ] {
        // By default, a thread has a stack of two mebibytes.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let scan =
                    |levels| scan_expr(&deep(open, close, levels), &unlimited, &mut Vec::new());
                assert_eq!(scan(511), Ok(()));
                let too_deep = Err(WireError::TooDeep { limit: 512 });
                assert_eq!(scan(512), too_deep);
                assert_eq!(scan(200_000), too_deep);
            });
        });
    }
}

#[test]
fn json_that_is_passed_over_is_bounded_too() {
    let surplus = |levels: usize| {
        let (open, close) = ("[{\"a\":".repeat(levels / 2), "}]".repeat(levels / 2));
        format!(r#"["nan",{open}0{close}]"#)
    };
    assert_eq!(scan(&surplus(512)), Ok(vec![]));
    let too_deep = Err(WireError::TooDeep { limit: 256 });
    assert_eq!(scan(&surplus(514)), too_deep);
    assert_eq!(scan(&surplus(1_000_000)), too_deep);
    let map = format!(r#"["remap",0,[],[],{}]"#, "[".repeat(100_000));
    assert_eq!(scan(&map), too_deep);
}

#[test]
fn lists() {
    let scan = |text: &'static str| {
        let (mut holes, mut items) = (Vec::new(), Vec::new());
        scan_list(text, &Limits::default(), &mut holes, &mut items)?;
        let items: Vec<_> = items.iter().map(|item| item.of(text)).collect();
        Ok::<_, WireError>((items, holes.len()))
    };
    assert_eq!(scan("[]").unwrap(), (vec![], 0));
    assert_eq!(
        scan(r#" [ 1 , ["import",0,[],[["export",1]]],[[]]] "#).unwrap(),
        (vec!["1", r#"["import",0,[],[["export",1]]]"#, "[[]]"], 2)
    );
    for bad in ["", "1", "{}", "[1", "[1,]", "[1]]", "[[1]]", r#"[["foo"]]"#] {
        assert!(scan(bad).is_err(), "{bad}");
    }
}
