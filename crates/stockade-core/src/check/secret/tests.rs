use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::format::{Class, FORMATS, Format, Part};
use super::*;

/// A token of a format, made here so that no file has one.
fn sample(format: &Format, min: bool) -> String {
    let mut seed = 7_u32;
    let mut token = format.prefix.to_owned();
    for part in format.parts {
        match part {
            Part::Is(it) => token.push_str(it),
            Part::Run(class, least, most) => {
                let most = (*most).min(300);
                token.extend(
                    (0..if min { *least } else { most }).map(|_| letter(*class, &mut seed)),
                );
            }
        }
    }
    token
}

fn letter(class: Class, seed: &mut u32) -> char {
    loop {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let it = u8::try_from(*seed >> 25).unwrap();
        if class.has(it) && it.is_ascii_alphanumeric() {
            return char::from(it);
        }
    }
}

fn clean(text: &str) -> String {
    redacted(text, &secrets(text, None), None)
}

#[test]
fn every_kind_is_found_wherever_it_stands() {
    for format in FORMATS {
        for token in [sample(format, true), sample(format, false)] {
            for (before, after) in [
                ("", ""),
                ("use ", " now"),
                ("k=\"", "\""),
                ("é_", "\n"),
                ("x ".repeat(50).as_str(), ", and the rest of the text"),
            ] {
                let text = format!("{before}{token}{after}");
                let expected = format!("{before}[redacted:{}]{after}", format.kind);
                assert_eq!(clean(&text), expected, "{text}");
            }
        }
    }
}

#[test]
fn too_short_or_too_long_is_none() {
    for format in FORMATS {
        let token = sample(format, true);
        let mut short = token.clone();
        short.pop();
        let kinds: Vec<_> = secrets(&short, None).iter().map(|it| it.kind).collect();
        assert!(!kinds.contains(&format.kind), "{short}");
        assert!(secrets(&format!("x{token}"), None).iter().all(|it| it.kind != format.kind));
    }
}

#[test]
fn context_tells_what_is_secret() {
    let key = format!(
        "{}\n{}\n{}",
        "-----BEGIN RSA PRIVATE KEY-----",
        "MIIEow".repeat(20),
        "-----END RSA PRIVATE KEY-----"
    );
    let open = key.split_once("-----END").unwrap().0;
    let value = ["q8Zk", "2nVx", "7Lp0", "Rt5W"].concat();
    for (text, expected) in [
        (format!("a {key} b"), "a [redacted:private-key] b".to_owned()),
        (open.to_owned(), "[redacted:private-key]".to_owned()),
        (
            format!("postgres://app:{value}@db/x"),
            "postgres://app:[redacted:password-in-url]@db/x".to_owned(),
        ),
        (
            format!("https://u:p@ss{value}@h?q"),
            "https://u:[redacted:password-in-url]@h?q".to_owned(),
        ),
        (
            format!("DB_PASSWORD={value}\nX=1"),
            "DB_PASSWORD=[redacted:assigned-secret]\nX=1".to_owned(),
        ),
        (
            format!("\"apiKey\": \"{value}\","),
            "\"apiKey\": \"[redacted:assigned-secret]\",".to_owned(),
        ),
        (
            format!("{{\\\"secret\\\":\\\"{value}\\\"}}"),
            "{\\\"secret\\\":\\\"[redacted:assigned-secret]\\\"}".to_owned(),
        ),
        (
            format!("Authorization: Bearer {value}"),
            "Authorization: Bearer [redacted:assigned-secret]".to_owned(),
        ),
        (
            format!("AccountKey={value}==;Endpoint=x"),
            "AccountKey=[redacted:assigned-secret];Endpoint=x".to_owned(),
        ),
    ] {
        assert_eq!(clean(&text), expected);
    }
    assert_eq!(secrets(&value, Some("client_secret")).len(), 1);
    assert_eq!(secrets(&value, Some("name")).len(), 0);
}

#[test]
fn what_only_looks_secret_is_quiet() {
    let aws = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let github = ["ghp_", &"x".repeat(36)].concat();
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{}", "MIIEow".repeat(20));
    for text in [
        aws.as_str(),
        &github,
        &certificate,
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "password: your-password-1234",
        "api_key = \"YOUR_API_KEY_123\"",
        "token = ${GITHUB_TOKEN_2}",
        "token: process.env.GITHUB_TOKEN_2024",
        "let token = next_token(&mut input_2);",
        "secret = hashlib.sha256(b'a').hexdigest()",
        "password: String,",
        "token: Option<String>,",
        "nextPageToken: \"CAUQAA0f9dKq2\"",
        "password=secure%20password1, \"password\": \"secret123\", user_token == \"valid-token-12345\"",
        "generate_private_key: x25519_generate_private_key, password: MAX_PASSWORD_LEN_64_BYTES, \
         Credentials: MI_UserCredentials_0",
        "max_tokens=4096 tokens: 12345678901234567890",
        "postgres://user:password@localhost/db postgres://${USER}:${PASSWORD}@h/x",
        "http://localhost:8080/a@b and mailto:a:b@c",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "550e8400-e29b-41d4-a716-446655440000",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
        "sk-fading-circle sk-circle-fade-dot-and-more-of-the-same-kind",
    ] {
        assert_eq!(secrets(text, None), [], "{text}");
    }
}

/// A token that is in no file.
fn github() -> String {
    ["gh", "p_Zk82nVx7Lp0Rt5WqBd31Ys94MhKjTgUcEoNa"].concat()
}

const REDACTED: &str = "[redacted:github-token]";

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn hex(text: &str) -> String {
    text.bytes().map(|it| format!("{it:02x}")).collect()
}

#[test]
fn an_encoded_secret_is_taken_out_of_its_encoding() {
    let token = github();
    let config = |token: &str| format!("[api]\ntoken = \"{token}\"\nhost = x.org, and more\n");
    for (before, after) in [("", ""), ("data: ", " end"), ("x/", "\n"), ("ab+", ", "), ("é", "é")]
    {
        for (said, shown) in
            [(token.clone(), REDACTED.to_owned()), (config(&token), config(REDACTED))]
        {
            for encode in [base64, hex, |it: &str| base64(&base64(it)), |it: &str| hex(&base64(it))]
            {
                let text = format!("{before}{}{after}", encode(&said));
                assert_eq!(clean(&text), format!("{before}{}{after}", encode(&shown)), "{text}");
            }
        }
    }
    let url = URL_SAFE_NO_PAD.encode(format!("{token}>>>???"));
    let shown = URL_SAFE_NO_PAD.encode(format!("{REDACTED}>>>???"));
    assert_eq!(clean(&format!("k={url}")), format!("k={shown}"));
    // In lines, as programs print it.
    for (length, between) in [(64, "\n"), (76, "\r\n"), (64, "\\n")] {
        let lines = |text: &str| {
            let text = base64(&format!("{}{text}{}", "a b ".repeat(40), " c d".repeat(40)));
            let lines: Vec<_> = text.as_bytes().chunks(length).collect();
            String::from_utf8(lines.join(between.as_bytes())).unwrap()
        };
        assert_eq!(clean(&format!("{}\n", lines(&token))), format!("{}\n", lines(REDACTED)));
    }
    // What has more in it than text.
    let binary = [&b"\x00\xff\x13"[..], token.as_bytes(), b"\x80\x00"].concat();
    assert_eq!(clean(&STANDARD.encode(binary)).len() % 4, 0);
    assert!(
        !secrets(&hex(&format!("DB_PASSWORD={}", ["q8Zk", "2nVx7Lp0", "Rt5W"].concat())), None)
            .is_empty()
    );
}

#[test]
fn escapes_hide_nothing() {
    let token = github();
    let all = |write: &dyn Fn(u8) -> String| token.bytes().map(write).collect::<String>();
    for text in [
        token.replace("gh", "%67%68"),
        all(&|it| format!("%{it:02X}")),
        all(&|it| format!("\\x{it:02x}")),
        all(&|it| format!("\\u{it:04x}")),
        all(&|it| format!("&#{it};")),
        all(&|it| format!("&#x{it:x};")),
    ] {
        assert_eq!(clean(&format!("a {text} b")), format!("a {REDACTED} b"));
    }
    let password = ["gT7-", "kk2p"].concat();
    assert_eq!(
        clean(&format!("u=postgres%3A%2F%2Fapp%3A{password}%40db.internal%2Fapp")),
        "u=postgres%3A%2F%2Fapp%3A[redacted:password-in-url]%40db.internal%2Fapp"
    );
    assert_eq!(
        clean(&format!("postgres:\\/\\/app:{password}@db")),
        "postgres:\\/\\/app:[redacted:password-in-url]@db"
    );
}

#[test]
fn two_secrets_are_told_apart_and_one_is_itself() {
    let aliases = Aliases::default();
    let (one, two) = (github(), github().replace("Zk", "Zj"));
    let text = format!("{one} {two} {one} {}", base64(&two));
    let shown = redacted(&text, &secrets(&text, None), Some(&aliases));
    let second = "[redacted:github-token-2]";
    assert_eq!(shown, format!("{REDACTED} {second} {REDACTED} {}", base64(second)));
    assert_eq!(secrets(&shown, None), []);
}

#[test]
fn more_places_are_known() {
    let value = ["q8Zk", "2nVx"].concat();
    let bot = ["110201543:", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw9"].concat();
    let ssh = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n", "b3BlbnNz".repeat(20));
    for (text, expected) in [
        (format!("bot{bot}/getMe"), "bot[redacted:telegram-bot-token]/getMe".to_owned()),
        (
            format!("https://x.org/?a=1&password={value}"),
            "https://x.org/?a=1&password=[redacted:assigned-secret]".to_owned(),
        ),
        (
            format!("Server=db;User Id=app;Password={value};Encrypt=true"),
            "Server=db;User Id=app;Password=[redacted:assigned-secret];Encrypt=true".to_owned(),
        ),
        (
            format!("{ssh}<b>and the rest</b>"),
            "[redacted:openssh-private-key]<b>and the rest</b>".to_owned(),
        ),
    ] {
        assert_eq!(clean(&text), expected);
    }
    let at = format!("{} {}", "x".repeat(99), github());
    assert_eq!(crate::check::clipped(&at, 110), format!("{} {}", "x".repeat(99), "[redacted:"));
}

/// A password that is no word, made here.
fn word() -> String {
    ["hun", "ter2", "!x9"].concat()
}

#[test]
fn passwords_are_found_where_they_stand() {
    let it = word();
    let plain = it.trim_end_matches("!x9").to_owned() + "k7";
    for (text, kind) in [
        (format!("DB_PASSWORD={it}\nX=1"), "assigned-secret"),
        (format!("export DB_PASS={plain}\n"), "assigned-secret"),
        (format!("db:\n  password: {it}\n  port: 1"), "assigned-secret"),
        (format!("    environment:\n      - POSTGRES_PASSWORD={plain}\n"), "assigned-secret"),
        (format!("    environment:\n      POSTGRES_PASSWORD: {plain}\n"), "assigned-secret"),
        (format!("spring.datasource.password={plain}\n"), "assigned-secret"),
        (format!("[client]\nuser = a\npassword = {plain}\n"), "assigned-secret"),
        (format!("- name: DB_PASSWORD\n  value: {plain}\n"), "assigned-secret"),
        (format!("- name: DB_PASSWORD\n  value: \"{plain}\"\n"), "assigned-secret"),
        (format!("{{\"name\":\"DB_PASSWORD\",\"value\":\"{plain}\"}}"), "assigned-secret"),
        (format!("machine h.org login u password {plain}\n"), "password"),
        (format!("machine h.org\n  login u\n  password {plain}\n"), "password"),
        (format!("db.internal:5432:app:admin:{plain}\n"), "password"),
        (format!("*:*:*:admin:{plain}"), "password"),
        (format!("<server><password>{plain}</password></server>"), "password"),
        (format!("x login --password {plain} --force"), "password"),
        (format!("x login --password={plain} --force"), "assigned-secret"),
        (format!("mysql -u root -p{plain} shop"), "password"),
        (format!("curl -s -u admin:{plain} https://h.org/"), "password"),
        (format!("sshpass -p {plain} ssh h"), "password"),
        (format!("sshpass -p '{plain}' ssh h"), "password"),
        (format!("| user | password |\n|---|---|\n| bob | {plain} |\n"), "password"),
        (format!(" user | password \n------+----------\n bob | {plain}\n"), "password"),
        (
            format!("+--+--+\n| user | password |\n+--+--+\n| bob | {plain} |\n+--+--+\n"),
            "password",
        ),
        (format!("Server=db;User Id=app;Password={plain};Encrypt=true"), "assigned-secret"),
        (format!("docker run -e DB_PASSWORD={plain} x\n"), ""),
    ] {
        if kind.is_empty() {
            continue;
        }
        let value = if text.contains(&it) { &it } else { &plain };
        assert_eq!(clean(&text), text.replace(value, &format!("[redacted:{kind}]")), "{text}");
    }
    // Of seven letters, in the places where a program or a person puts one.
    let short = ["vU7", "pq2x"].concat();
    for place in [
        "{\"user\":\"bob\",\"password\":\"@\"}",
        "password: \"@\",",
        "'password' => '@',",
        "password := \"@\"",
        "jdbc:mysql://h/d?user=bob&password=@&ssl=1",
        "os.environ['DB_PASSWORD']='@'",
        "define('DB_PASSWORD', '@');",
        "user,password\nbob,@\nal,@",
        "user\tpassword\nbob\t@\n",
        "user;pwd\nbob;@\n",
        "id,\"password\"\n\"a,b\",\"@\"\n",
        "<tr><th>a</th><th class=\"x\"><b>b</b></th><th>Password</th></tr><tr><td>1</td><td>2</td><td><code>@</code></td></tr>",
        "psk=\"@\"",
        "requirepass @\n",
        "masterauth \"@\"",
        "enable secret @\n",
        "enable secret 0 @\n",
        "snmp-server community @ RO",
        "ENV DB_PASS @\n",
        "ARG DB_PASSWORD=@",
        "PGPASSWORD=@ psql",
        "sudo PGPASSWORD=@ psql",
        "setx DB_PASSWORD @",
        "CREATE USER bob IDENTIFIED BY '@';",
        "ALTER USER bob WITH PASSWORD '@';",
        "docker login -u bob -p @ r.io",
        "redis-cli -a @ ping",
        "7z x -p@ a.7z",
        "zip -P @ a.zip",
        "openssl rsa -passin pass:@",
        "echo bob:@ | chpasswd",
        "echo '@' | sudo -S ls",
        "smbclient //h/s -U bob%@",
        "ldapsearch -D cn=x -w @",
        "senha=@",
        "contraseña: @",
        "mot de passe : @",
        "пароль: @",
        "密码：@",
        "パスワード: @",
        "password: |\n  @\n",
        "password: >-\n  @",
        "machine a login b\n\tpassword\n\t@",
        "machine a login b password @",
    ] {
        let shown = clean(&place.replace('@', &short));
        let kinds = ["password", "assigned-secret"];
        let is = |it: &&str| shown == place.replace('@', &format!("[redacted:{it}]"));
        assert!(kinds.iter().any(is), "{place}: {shown}");
    }
    let hash = ["$6$", "Zk82nVx7", "$", &"aB3./".repeat(17)].concat();
    assert_eq!(clean(&format!("root:{hash}:19000:0\n")), "root:[redacted:password-hash]:19000:0\n");
    let hash = ["$apr1$", "Zk82nVx7$", "aB3dE5gH7jK9mN1pQ3sT5u"].concat();
    assert_eq!(clean(&format!("bob:{hash}\n")), "bob:[redacted:password-hash]\n");
}

#[test]
fn a_token_that_is_cut_is_found() {
    let token = github();
    let (a, b) = token.split_at(17);
    for between in
        ["\n", "\r\n", "\n    ", "\u{ad}", "&shy;", "<b>", "</code><code>", "**", "`", "<wbr>"]
    {
        let text = format!("it is {a}{between}{b} so");
        assert_eq!(clean(&text), format!("it is {REDACTED} so"), "{text}");
    }
    for (before, between, after) in [
        ("\"", "\" + \"", "\""),
        ("'", "' . '", "'"),
        ("\"", "\"\n  \"", "\""),
        ("  1 ", "\n  2 ", "\n"),
        ("10: ", "\n11: ", "\n"),
        ("+", "\\\n+", "\n"),
        ("-", "\n-", "\n"),
        ("", " | ", ""),
        ("", "\\\n", ""),
    ] {
        let text = format!("{before}{a}{between}{b}{after}");
        assert_eq!(clean(&text), format!("{before}{REDACTED}{after}"), "{text}");
    }
    assert_eq!(
        clean(&format!("g<b>{}</b>", token.strip_prefix('g').unwrap())),
        format!("{REDACTED}</b>")
    );
    assert_eq!(clean(&format!("{token}\nmore")), format!("{REDACTED}\nmore"));
}

#[test]
fn a_url_that_was_signed_works() {
    let key = ["AKIA", "Q3EGRIFZ7T2LXK5W"].concat();
    let url = format!(
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Security-Token=FwoGZXIvYXdzEBYaDHx1Zk82nVx7Lp0Rt5Wq&X-Amz-Signature={}",
        "9f86d081884c7d65".repeat(4)
    );
    assert_eq!(clean(&format!("see {url} now")), format!("see {url} now"));
    assert_eq!(clean(&key), "[redacted:aws-access-key]");
}

#[test]
fn manuals_and_programs_have_no_passwords() {
    for text in [
        "password: your-password-here",
        "<password>",
        "<password>secret</password>",
        "PASSWORD=$DB_PASSWORD\n",
        "password: ${{ secrets.X }}",
        "password = getpass()",
        "password: str\n",
        "password: String,",
        "PASSWORD_MIN_LENGTH=8\n",
        "\"password\": {\"type\": \"string\"}",
        "token: null\n",
        "password: ********\n",
        "PASSWORD=\nNEXT=1\n",
        "const password = document.querySelector('#p1').value",
        "password: user.password1\n",
        "password: sha256\n",
        "  password: string;\n",
        "password = password1\n",
        "<label>Password</label><input type=\"password\" name=\"password\">",
        "let password = read_password(1);",
        "| Name | Type |\n|---|---|\n| password | string |\n| token2 | string9 |\n",
        "| user | password |\n|---|---|\n| bob | ******** |\n",
        "mysql -u root -p shop",
        "mysql -p3306:3306",
        "docker login --password-stdin",
        "--password <PASSWORD>",
        "--password PASSWORD",
        "curl -u user:password h",
        "PWD=/home/bob/src\n",
        "OLDPWD=/home/bob\n",
        "PWD=/root\n",
        "DB_PASSWORD_FILE=/run/secrets/db2\n",
        "| Season | Pass | Price |\n|---|---|---|\n| Summer | Gold2026 | 99 |\n",
        "machine learning login flow password reset",
        "postgres://postgres:postgres@localhost:5432/test",
        "postgres://postgres:postgres@127.0.0.1/test",
        "name,pass,fail\nsuite1,12ab34,0\n",
        "requirepass foobared\n",
        "    user, password,\n    host, token2x,\n",
        "user,password_policy\nbob,strong12\n",
        "the parole: 12 years",
        "if password == \"\" {",
        "t('password', 'Password 2')",
        "password VARCHAR(255), x INT2",
        "password: |\nnext1: a\n",
        "password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n",
        "x | y | z",
        "a.rs:1200:error:note:text",
        "machine learning is no password manager2",
        "12:30:45:1:9",
        "DB_PASSWORD=changeme\n",
        "password: 8 characters or more\n",
        "MYSQL_PASSWORD=password\n",
        "if password == None:\n",
        "password=self.password1\n",
        "*password: 12",
    ] {
        assert_eq!(secrets(text, None), [], "{text}");
    }
}

#[test]
fn base32_is_decoded() {
    use data_encoding::{BASE32, BASE32_NOPAD};
    let token = github();
    for length in 0..9 {
        let (said, shown) =
            (format!("{token}{}", "!".repeat(length)), format!("{REDACTED}{}", "!".repeat(length)));
        let encode = |it: &str| BASE32.encode(it.as_bytes());
        assert_eq!(clean(&format!("a {} b", encode(&said))), format!("a {} b", encode(&shown)));
        assert_ne!(
            clean(&BASE32_NOPAD.encode(said.as_bytes())),
            BASE32_NOPAD.encode(said.as_bytes())
        );
    }
}

#[test]
fn the_password_of_another_host_is_one() {
    let url = "postgres://postgres:postgres@db.internal/app";
    assert_eq!(clean(url), "postgres://postgres:[redacted:password-in-url]@db.internal/app");
}

#[test]
fn a_word_within_a_password_does_not_make_it_a_stand_in() {
    for value in [
        "Center2024!",
        "Carpenter#99x",
        "Trueblood#81",
        "Nonesuch-77x",
        "Drawstring91!",
        "MySecret#2024",
        "SuperSecret2024!",
        "Password123!",
        "xmy-9Kd82!k",
        "hunter2k7",
    ] {
        for (before, after) in [
            ("DB_PASSWORD=", ""),
            ("password = \"", "\""),
            ("sshpass -p ", " ssh h"),
            ("ALTER USER bob IDENTIFIED BY '", "';"),
            ("| user | password |\n|-|-|\n| bob | ", " |"),
        ] {
            let text = format!("{before}{value}{after}");
            assert!(!clean(&text).contains(value), "{text}: {}", clean(&text));
        }
    }
    for text in [
        "DB_PASSWORD=secret123",
        "DB_PASSWORD=my-password-1",
        "DB_PASSWORD=the-string1",
        "password: String!",
        "password: required!",
        "DB_PASSWORD=enter2",
        "secret: \"token-service2@example.com\"",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn words_of_every_day_where_a_password_could_stand_stay() {
    for text in [
        "You can pass \"gpt-4o\" as the model.",
        "If you pass 'us-east-1' the client uses that region.",
        "The tests pass 'test_login_2' on CI.",
        "setStatus(\"pass\", \"build-123\")",
        "pass: build-142",
        "The vulnerability is identified by CVE-2024-3094 in xz.",
        "Each object is identified by user_id2 in the index.",
        "adduser --disabled-password deploy2",
        "psql --no-password prod_db1",
        "{\"pwd\": \"/app01\", \"exit\": 0}",
        "WRONG_PASSWORD = \"AUTH-401\"",
        "\"invalid_password\": \"ERR_4012\",",
        "existingSecret: \"pg-auth-2024\"",
        "credentials: 'include2'",
        "| Feature | OAuth2 | Password |\n|---|---|---|\n| Standard | RFC6749 | RFC2617 |",
        "| Setting | Password |\n|---|---|\n| Length | 12chars |\n| Hash | scrypt2 |",
        "Name\tPassword\nLength\tmin-12",
        "app:8080:prod:web:v1.2.3rc1",
        "| Password | RFC2617 |",
        "| Host | Pass | Fail |\n|---|---|---|\n| web01 | 10of10 | 0 |",
        "user,pass,fail\nweb01,10of10,0",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn passwords_in_more_places_of_every_day() {
    let value = "hunter2k7";
    for text in [
        "host=db user=sa password=_ dbname=x",
        "psql \"host=db password=_\"",
        "**Password:** _",
        "**Password:** `_`",
        "| Password | _ |",
        "| **Password** | `_` |",
        "-[ RECORD 1 ]--\nuser     | bob\npassword | _",
        "| user | password |\n|-|-|\n| bob | _ |",
        "| user | password |\n| :- | -: |\n| bob | _ |",
        "curl -su bob:_ https://x.example",
        "curl -ubob:_ https://x.example",
        "SET PASSWORD FOR bob = '_'",
        "Identified by '_'",
        "create user bob identified by _",
        "user | password\n--- | ---\nbob | _",
    ] {
        let text = text.replace('_', value);
        assert!(!clean(&text).contains(value), "{text}: {}", clean(&text));
    }
}

#[test]
fn what_a_name_says_is_heard_wherever_the_name_is() {
    let value = "hV7kQ2mZ9pLx";
    for text in [
        "{\"value\":\"VALUE\",\"name\":\"DB_PASSWORD\"}",
        "- value: VALUE\n  name: DB_PASSWORD",
        "{\"value\": \"VALUE\", \"key\": \"db-pass\"}",
        "stringData:\n  db-pass: VALUE",
        "web1 ansible_user=bob ansible_ssh_pass=VALUE",
        "web1 ansible_user=bob ansible_password=VALUE ansible_port=22",
        "{\"passwords\":[\"VALUE\"]}",
        "passwords = ['abc', 'VALUE']",
        "{\"api_keys\": [\"first\", \"VALUE\"]}",
        "variable \"db_password\" {\n  default = \"VALUE\"\n}",
        "variable \"db_pass\" {\n  type = string\n  default = \"VALUE\"\n}",
        "kubectl create secret generic x --from-literal=password=VALUE",
        "helm upgrade x y --set db.password=VALUE",
        "helm upgrade x y --set 'a=b,db.password=VALUE'",
        "docker build --build-arg DB_PASSWORD=VALUE .",
        "terraform apply -var \"db_password=VALUE\"",
        "account bob\nuser bob\npassword VALUE",
        "password VALUE\nhost mail.example.org",
        "bindpw VALUE",
        "<key>password</key><string>VALUE</string>",
        "<key>apiToken</key>\n\t<string>VALUE</string>",
        "<AdministratorPassword><Value>VALUE</Value></AdministratorPassword>",
    ] {
        let text = text.replace("VALUE", value);
        assert!(!clean(&text).contains(value), "{text}: {}", clean(&text));
    }
    let line = "AAAAIGZha2VmYWtlZmFrZWZha2VmYWtlZmFrZWZha2VmYWtl";
    let key = format!("Encryption: none\nPrivate-Lines: 2\n{line}\n{line}\nPrivate-MAC: aa");
    let shown = "Encryption: none\nPrivate-Lines: 2\n[redacted:putty-private-key]\nPrivate-MAC: aa";
    assert_eq!(clean(&key), shown);
    for text in [
        "low-pass: 200Hz-4k",
        "{\"value\":\"build142x\",\"name\":\"artifact\"}",
        "{\"passwords\":[\"none\"],\"tokens\":[\"alpha\",\"beta\"]}",
        "variable \"region\" {\n  default = \"eu-west-1a\"\n}",
        "variable \"db_password\" {}\nvariable \"x\" {\n  default = \"eu-west-1a\"\n}",
        "helm upgrade x y --set image.tag=v1.2.3-rc1",
        "kubectl create secret generic db --from-literal=password=$PASS",
        "Choose a user\npassword resets2go are free",
        "The user chose a\npassword hunter2k7 and left",
        "<key>passwordHint</key><string>pet2name</string>",
        "<key>Label</key><string>com.example.job2</string>",
    ] {
        assert_eq!(clean(text), text);
    }
}

/// Eight kilobytes around each name of a key, and all that is behind each label of a private one, were
/// looked through anew.
#[test]
fn a_text_full_of_beginnings_is_looked_through_once() {
    let time = |part: &str, len: usize| {
        let text = part.repeat(len / part.len());
        let once = |_| {
            let began = std::time::Instant::now();
            let _ = secrets(&text, None);
            began.elapsed()
        };
        (0..3).map(once).min().unwrap()
    };
    // What has no signer, and is as long, costs about the same.
    let plain = time("?X-Amy-Credential=AKIA", 200_000);
    let keys = time("?X-Amz-Credential=AKIA", 200_000);
    assert!(keys < plain * 12, "{plain:?}, {keys:?}");
    let (short, long) =
        (time("BEGIN PRIVATE KEY{", 200_000), time("-----BEGIN PRIVATE KEY{", 1_600_000));
    assert!(long < short * 40, "{short:?}, {long:?}");
}

#[test]
fn beginnings_of_tokens_in_a_row_are_taken_out_at_once() {
    for unit in ["sk-proj-", "sk-ant-", "sk-ant-xy-", "glpat-", "sk-ant-glpat-"] {
        let text = format!("see {} there", unit.repeat(1000));
        let shown = clean(&text);
        assert!(secrets(&shown, None).is_empty(), "{unit}");
        assert!(shown.len() < 60, "{unit}: {shown}");
    }
    // The last of a row of other words is one by itself.
    let key = format!("sk-proj-{}", "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7dE9");
    let text = format!("{}/{key}", "words-".repeat(60));
    assert!(clean(&text).starts_with("words-words-"));
}
