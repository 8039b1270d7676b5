use std::fmt::Write as _;

use super::*;

/// Writes an expression in a form that shows its structure.
fn show(expr: &Expr) -> String {
    let all = |items: &[Expr]| items.iter().map(show).collect::<Vec<_>>().join(" ");
    match &expr.kind {
        ExprKind::Undefined => "undefined".to_owned(),
        ExprKind::Null => "null".to_owned(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Number(value) => value.to_string(),
        ExprKind::BigInt(value) => format!("{value}n"),
        ExprKind::String(value) => format!("{value:?}"),
        ExprKind::Template { texts, parts } => {
            let mut out = format!("`{}", texts[0]);
            for (part, text) in parts.iter().zip(&texts[1..]) {
                let _ = write!(out, "${{{}}}{text}", show(part));
            }
            out + "`"
        }
        ExprKind::Name(name) => name.clone(),
        ExprKind::Argument(name) => format!("${name}"),
        ExprKind::This => "this".to_owned(),
        ExprKind::Member { of, name } => format!("(. {} {name})", show(of)),
        ExprKind::Index { of, index } => format!("([] {} {})", show(of), show(index)),
        ExprKind::Call { callee, args } => format!("(call {} [{}])", show(callee), all(args)),
        ExprKind::New { name, args } => format!("(new {name} [{}])", all(args)),
        ExprKind::Array(items) => format!("[{}]", all(items)),
        ExprKind::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{key:?}:{}", show(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
        }
        ExprKind::Arrow(arrow) => {
            format!(
                "(=> [{}] {})",
                arrow.parameters.join(" "),
                show(&arrow.body)
            )
        }
        ExprKind::Await(of) => format!("(await {})", show(of)),
    }
}

fn tree(source: &str) -> String {
    let program = parse(source).unwrap_or_else(|problem| panic!("{}", problem.render(source)));
    let statements = program.statements.iter().map(|statement| match statement {
        Statement::Let { name, value } => format!("let {name} = {}", show(value)),
        Statement::Expr(expr) => show(expr),
    });
    statements.collect::<Vec<_>>().join("; ")
}

#[test]
fn expressions_have_the_structure_of_javascript() {
    for (source, expected) in [
        ("a.b.c(1)", "(call (. (. a b) c) [1])"),
        ("a[0]['x y'](b)", "(call ([] ([] a 0) \"x y\") [b])"),
        (
            "authenticate('t').getFriendIds().map(id => [id, getUserName(id)])",
            "(call (. (call (. (call authenticate [\"t\"]) getFriendIds) []) map) [(=> [id] [id (call getUserName [id])])])",
        ),
        (
            "f((a, b) => a.g(b), () => 1,)",
            "(call f [(=> [a b] (call (. a g) [b])) (=> [] 1)])",
        ),
        (
            "x => ({ id: x, y, 'a b': 1, 2: z })",
            "(=> [x] {\"id\":x \"y\":y \"a b\":1 \"2\":z})",
        ),
        ("(a).b", "(. a b)"),
        ("[1, [], {}]", "[1 [] {}]"),
        ("{ a: 1, a: 2 }", "{\"a\":2}"),
        ("`a ${x.y} {b} ${`c${d}`}`", "`a ${(. x y)} {b} ${`c${d}`}`"),
        ("new Date('2026-01-31')", "(new Date [\"2026-01-31\"])"),
        ("await f(await g)", "(await (call f [(await g)]))"),
        ("this.$interface", "(. this $interface)"),
        ("$file", "$file"),
        (
            "let a = f(); let b = a.g; [a, b]",
            "let a = (call f []); let b = (. a g); [a b]",
        ),
        ("let a = 1\nlet b = 2", "let a = 1; let b = 2"),
        ("; a ;; b;", "a; b"),
        ("a /* x */ .b // end", "(. a b)"),
        (
            "f(undefined, null, true, false)",
            "(call f [undefined null true false])",
        ),
        ("été.ñ", "(. été ñ)"),
        ("news.letter", "(. news letter)"),
    ] {
        assert_eq!(tree(source), expected, "{source}");
    }
}

#[test]
fn literals_are_those_of_javascript() {
    for (source, expected) in [
        ("1_000", "1000"),
        ("0x1F", "31"),
        ("0b101", "5"),
        ("0o17", "15"),
        ("1.5e3", "1500"),
        ("1e-2", "0.01"),
        ("2E+2", "200"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-3", "-3"),
        ("+3", "3"),
        ("-Infinity", "-inf"),
        ("NaN", "NaN"),
        (
            "123456789012345678901234567890n",
            "123456789012345678901234567890n",
        ),
        ("-5n", "-5n"),
        ("0xFFn", "255n"),
        (
            r#""a\n\t\\\"\x41\u0042\u{1F600}\uD83D\uDE00""#,
            r#""a\n\t\\\"AB😀😀""#,
        ),
        (r"'it\'s'", "\"it's\""),
        (r#""\uD83D""#, "\"\u{fffd}\""),
    ] {
        assert_eq!(tree(source), expected, "{source}");
    }
}

/// Checks the messages as the user sees them.
#[test]
fn mistakes_are_shown_with_a_remedy() {
    let mut shown = String::new();
    for source in [
        "add(1, 2",
        "add(1 2)",
        "add(1, 2))",
        "a b",
        "a + b",
        "a?.b",
        "f(...x)",
        "x = 1",
        "a.",
        "a.1",
        "a[",
        "\"abc",
        "`a ${b",
        "`a ${}`",
        "`a ${b c}`",
        "(a, b)",
        "()",
        "x => { return x }",
        "([a]) => a",
        "(a, a) => a",
        "null => 1",
        "/abc/",
        "1abc",
        "“a”",
        "const a = 1",
        "let 1 = a",
        "let a 1",
        "f(let a = 1)",
        "typeof a",
        "async x => x",
        "new",
        "{ a }.b",
        "{ 'a' }",
        "{ [a]: 1 }",
        "-a",
        "!a",
        "a === b",
        "$",
        "",
        "f(\n  1,\n  é ü\n)",
        "\"\\u12\"",
        "/* a",
        "a ? b : c",
    ] {
        let said = match parse(source) {
            Ok(_) => "(no mistake)".to_owned(),
            Err(problem) => {
                let more = if problem.is_incomplete {
                    "\n(more could complete it)"
                } else {
                    ""
                };
                format!("{}{more}", problem.render(source))
            }
        };
        let _ = writeln!(shown, "{said}\n");
    }
    let expected = include_str!("mistakes.txt");
    if shown != expected {
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/expression/parser/mistakes.txt"
            );
            std::fs::write(path, &shown).unwrap();
        }
        panic!("mistakes.txt differs; UPDATE_SNAPSHOTS=1 writes it:\n{shown}");
    }
}

#[test]
fn expressions_that_are_too_deep_are_refused() {
    let deep = "[".repeat(MAX_DEPTH + 1);
    assert!(parse(&deep).unwrap_err().message.contains("nested"));
    let long = format!("a{}", ".b".repeat(MAX_CHAIN + 1));
    assert!(parse(&long).unwrap_err().message.contains("chain"));
    let fits = format!("a{}", ".b".repeat(MAX_CHAIN - 1));
    assert!(parse(&fits).is_ok());
}

/// Checks that no text makes the parser panic, wherever it is cut.
#[test]
fn any_text_is_an_expression_or_a_mistake() {
    let pieces = [
        "a", ".", "(", ")", "[", "]", "{", "}", ",", "=>", "`", "${", "\"", "'", "\\", "\\u", "é",
        "0x", "1", "n", "let ", "=", "/*", "//", "\n", "new ", "-", "$", ";", "😀", "\u{0}",
    ];
    let mut state = 7_u64;
    for _ in 0..20_000 {
        let mut source = String::new();
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        for turn in 0..(state >> 33) % 12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(turn);
            let at = usize::try_from(state >> 33).unwrap() % pieces.len();
            source.push_str(pieces[at]);
        }
        if let Err(problem) = parse(&source) {
            assert!(problem.render(&source).contains('^'), "{source:?}");
        }
    }
}
