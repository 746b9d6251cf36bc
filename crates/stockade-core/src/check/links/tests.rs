use std::time::{Duration, Instant};

use super::*;

/// Each target, and whether it is fetched.
fn all(text: &str) -> Vec<(String, bool)> {
    targets(text, |_| true).into_iter().map(|it| (it.url, it.fetched)).collect()
}

/// The last letters of every address here.
fn leads(text: &str, fetched: bool) -> bool {
    let found = targets(text, |it| it.fetched == fetched && it.url.contains("=END"));
    let shown = inert(text, &found);
    let is_inert = targets(&shown, |it| it.url.contains("=END")).is_empty();
    assert!(is_inert, "{text} becomes {shown}");
    !found.is_empty()
}

#[test]
fn an_image_is_found_however_its_address_is_written() {
    for text in [
        "![x](https://e.example/p(1).png?d=END)",
        "![x](https://e.example/()/p.png?d=END)",
        "![x](https://e.example/p.png?t=it's&d=END)",
        "![x](https://e.example/p.png?t=\"&d=END)",
        "![x](https://e.example/a](b).png?d=END)",
        "![x\\]](https://e.example/p.png?d=END)",
        "![x\\\\](https://e.example/p.png?d=END)",
        "![`]`](https://e.example/p.png?d=END)",
        "![<a title=\"]\">](https://e.example/p.png?d=END)",
        "![x](https\\://e.example/p.png?d=END)",
        "![x](https&colon;//e.example/p.png?d=END)",
        "![x](/\\e.example/p.png?d=END)",
        "![x](\\/e.example/p.png?d=END)",
        "> ![x](\n> https://e.example/p.png?d=END)",
        "![x](          https://e.example/p.png?d=END)",
        "![x](<https://e.example/p.png?d=END>)",
        "![x] (https://e.example/p.png?d=END)",
        "![a [b](c) d](https://e.example/p.png?d=END)",
        "![x][a\\]]\n\n- [a\\]]: https://e.example/p.png?d=END",
        "| ` | ![`]`](https://e.example/p.png?d=END) |\n|---|---|\n| ` | ![x\\]](https://e.example/?d=END) |",
        "![x](https://e.example/p.png?d=END \"a title\")",
        "<img alt=\">\" src=\"https://e.example/p.png?d=END\">",
        "<img alt='>' src=\"https://e.example/p.png?d=END\">",
        "<img alt=\"<\" src=\"https://e.example/p.png?d=END\">",
        "<img alt=\"<a \" src=\"https://e.example/p.png?d=END\">",
        "<img alt = \"a=b > c\" src=https://e.example/p.png?d=END>",
        "<b t=\"\n\n<img alt=\">\" src=\"https://e.example/p.png?d=END\">",
        "<img src=\"/\\e.example/p.png?d=END\">",
        "<img src=\"                https://e.example/p.png?d=END\">",
        "<img src=\"&#x0000000000000068;ttps://e.example/p.png?d=END\">",
        "<img src=\"https://e.example/p(1)'.png?d=END\">",
        "<meta http-equiv=refresh content=\"0;                                url=//e.example?d=END\">",
        "<style>a{background:image-set(\"https://e.example/p.png?d=END\" 1x)}</style>",
        "<style>@import 'https://e.example/p.css?d=END'</style>",
    ] {
        assert!(leads(text, true), "{text}: {:?}", all(text));
    }
    let many = format!("{}![x](https://e.example/?d=END)", "[".repeat(40));
    assert!(leads(&many, true));
    let long = format!("![x](https://e.example/?a={}&d=END)", "a".repeat(9000));
    assert!(leads(&long, true));
}

#[test]
fn a_link_is_a_link() {
    for text in [
        "![a](https://e.example/a.png) [x](https://e.example/?d=END)",
        "[![a](https://e.example/a.png)](https://e.example/?d=END)",
        "[x\\]](https://e.example/?d=END)",
        "[`]`](https://e.example/?d=END)",
        "x](https://e.example/?d=END)",
        "<https://e.example/?d=END>",
        "<img alt=\">\" src=\"a.png\"> <a title=\">\" href=\"https://e.example/?d=END\">",
    ] {
        assert!(leads(text, false), "{text}: {:?}", all(text));
        assert_eq!(targets(text, |it| it.fetched && it.url.contains("=END")), [], "{text}");
    }
    for text in
        ["x=END https://e.example/?d=END", "<p>src=\"https://e.example/?d=END\"", "[x](a?d=END)"]
    {
        assert_eq!(all(text), [], "{text}");
    }
}

#[test]
fn nothing_takes_longer_than_its_length() {
    let parts = [
        "[",
        "![",
        "](",
        "![x](//a",
        "](//a()",
        "](<//a",
        "<//a(",
        "[x]: //a(\n",
        "\\]",
        "`",
        "<a b=\"",
        "<a b='",
        "<a src=\"//a",
        "src=//a",
        "<img srcset=\"//a ",
        "url(//a",
        "url('//a",
        "@import \"//a",
        "](&#0000000",
        "](j\n",
        "> > ",
        "- ",
        "*a_ ",
        "[a](b",
        "![a](<b",
        "<a src=&#",
        "(",
        "|",
        "&#",
    ];
    for part in
        parts.iter().map(|it| (*it).to_owned()).chain(["](".to_owned() + " ".repeat(50).as_str()])
    {
        let time = |length: usize| {
            let text = format!("<![]({}", part.repeat(length / part.len()));
            let start = Instant::now();
            targets(&text, |_| true);
            start.elapsed()
        };
        let (short, long) = (time(10_000), time(80_000));
        assert!(long < 40 * short + Duration::from_millis(100), "{part:?}: {short:?}, {long:?}");
    }
}
