use super::*;

fn host(text: &str) -> Host {
    Host::parse(text).unwrap_or_else(|it| panic!("{it}"))
}

fn network(text: &str) -> Network {
    text.parse().unwrap_or_else(|it| panic!("{it}"))
}

#[test]
fn a_host_has_one_spelling() {
    for (text, expected) in [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("ｅｘａｍｐｌｅ.com", "example.com"),
        ("example。com", "example.com"),
        ("db", "db"),
        ("_sip.example.com", "_sip.example.com"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("::ffff:127.0.0.1", "[::ffff:127.0.0.1]"),
    ] {
        assert_eq!(host(text).to_string(), expected, "{text}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_no_host() {
    let long_label = format!("{}.com", "a".repeat(64));
    let long_name = ["a".repeat(63).as_str(); 4].join(".");
    for text in [
        "",
        ".",
        "..",
        ".example.com",
        "example..com",
        "example.com..",
        "0x7f000001",
        "0x7f.1",
        "2130706433",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "１２７.0.0.1",
        "1.2.3.4.5",
        "256.0.0.1",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "[[::1]]",
        "[fe80::1%lo]",
        "fe80::1%lo",
        "exa%6dple.com",
        "user@example.com",
        "example.com@evil.com",
        "example.com:443",
        "example.com/",
        "example.com\\evil.com",
        "example.com#evil.com",
        "example.com?evil.com",
        "example.com evil.com",
        " example.com",
        "example.com\r\nHost: evil.com",
        "example.com\0.evil.com",
        "exa\tmple.com",
        "a,b",
        "*.example.com",
        "a*.example.com",
        "ex=ample.com",
        "exa\u{200b}mple.com\u{0}",
        &long_label,
        &long_name,
    ] {
        assert!(Host::parse(text).is_err(), "{text:?}: {:?}", Host::parse(text));
    }
}

#[test]
fn a_destination_is_read_and_shown() {
    for (text, shown) in [
        ("api.example.com", "api.example.com:443"),
        ("API.example.com.:8080", "api.example.com:8080"),
        ("*.example.com", "*.example.com:443"),
        ("*.Example.com:80", "*.example.com:80"),
        ("db.internal:5432=10.0.0.5", "db.internal:5432=10.0.0.5"),
        ("db.internal=::1", "db.internal:443=::1"),
        ("db.internal=[::1]", "db.internal:443=::1"),
        ("192.168.1.5:80", "192.168.1.5:80"),
        ("[2001:db8::1]", "[2001:db8::1]:443"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80"),
    ] {
        let it: Destination = text.parse().unwrap();
        assert_eq!(it.to_string(), shown, "{text}");
        assert_eq!(shown.parse::<Destination>().unwrap(), it, "{text}");
    }
    for text in [
        "",
        ":443",
        "=10.0.0.1",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:+443",
        "example.com:0x50",
        "example.com:44 3",
        "example.com:https",
        "example.com:80:81",
        "https://example.com",
        "example.com/path",
        "example.com=",
        "example.com=db.internal",
        "example.com=127.1",
        "example.com=10.0.0.1:80",
        "example.com=10.0.0.1=10.0.0.2",
        "10.0.0.1=10.0.0.2",
        "2001:db8::1",
        "*",
        "*.",
        "*.com",
        "*.*.example.com",
        "*example.com",
        "a.*.example.com",
        "*.10.0.0.1",
        "169.254.169.254:80",
        "[fe80::1]:80",
        "0.0.0.0:80",
        "[::]:80",
        "[::ffff:10.0.0.1]:80",
        "[64:ff9b::a00:1]:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "100.100.100.200:80",
        "metadata=169.254.169.254",
        "metadata=fd00:ec2::254",
        "x.example=::ffff:169.254.169.254",
    ] {
        assert!(text.parse::<Destination>().is_err(), "{text:?}");
    }
}

#[test]
fn a_network_is_read_whole_or_refused() {
    assert!(network("none").is_empty());
    assert_eq!(network("a.example, b.example:80").to_string(), "a.example:443, b.example:80");
    assert_eq!(network("a.example,A.example.:443").destinations().len(), 1);
    for text in ["", ",", "a.example,", "none,a.example", "a.example,,b.example"] {
        assert!(text.parse::<Network>().is_err(), "{text:?}");
    }
    assert_eq!(
        "a.example=10.0.0.1,a.example=10.0.0.2".parse::<Network>(),
        Err(NoDestination::Twice { destination: "a.example:443".to_owned() })
    );
    let ports = |count: u16| (1..=count).map(|it| format!("a.example:{it}").parse().unwrap());
    let most = u16::try_from(PORTS_MAX).unwrap();
    assert!(Network::new(ports(most)).is_ok());
    assert_eq!(Network::new(ports(most + 1)), Err(NoDestination::TooMany));
}

#[test]
fn only_what_is_listed_is_found() {
    let all =
        network("api.example.com,*.example.com:443=10.0.0.1,*.a.example.com=10.0.0.2,10.0.0.9:80");
    for (text, port, pinned) in [
        ("api.example.com", 443, None),
        ("API.EXAMPLE.COM.", 443, None),
        ("b.example.com", 443, Some("10.0.0.1")),
        ("b.c.example.com", 443, Some("10.0.0.1")),
        ("b.a.example.com", 443, Some("10.0.0.2")),
        ("10.0.0.9", 80, None),
    ] {
        let found = all.find(&host(text), port).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(found.pinned(), pinned.map(|it| it.parse().unwrap()), "{text}");
    }
    for (text, port) in [
        ("api.example.com", 80),
        ("example.com", 443),
        ("evil-example.com", 443),
        ("evilexample.com", 443),
        ("example.com.evil", 443),
        ("api.example.com.evil", 443),
        ("10.0.0.9", 443),
        ("10.0.0.1", 443),
        ("::ffff:10.0.0.9", 80),
    ] {
        assert_eq!(all.find(&host(text), port), None, "{text}:{port}");
    }
    assert_eq!(Network::default().find(&host("example.com"), 443), None);
    assert!(Network::default().variables().is_empty());
}

#[test]
fn a_proxy_is_asked_for_a_host_and_a_port() {
    assert_eq!(Host::parse_with_port("a.example:80"), Ok((host("a.example"), 80)));
    assert_eq!(Host::parse_with_port("[::1]:80"), Ok((host("::1"), 80)));
    for text in ["a.example", "::1:80", "a.example:", "a.example:80@b:1", "a@b:80", ":80", "a:b:80"]
    {
        assert!(Host::parse_with_port(text).is_err(), "{text}");
    }
}
