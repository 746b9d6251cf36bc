//! Secrets of every kind that is known, made here so that no file has one. None of them is one.

/// What a kind of secret looks like: `{A36}` is 36 letters and digits. `A` is for letters and digits,
/// `H` for hexadecimal, `U` for capitals and digits, `L` for small letters and digits, `D` for digits.
const FORMS: &[&str] = &[
    // Where code and packages are.
    "ghp_{A36}",
    "gho_{A36}",
    "ghu_{A36}",
    "ghs_{A36}",
    "ghr_{A36}",
    "github_pat_{A22}_{A59}",
    "glpat-{A20}",
    "gldt-{A20}",
    "glrt-{A20}",
    "glptt-{H40}",
    "ATBB{A32}",
    "ATATT3{A180}",
    "sgp_{H40}",
    "squ_{H40}",
    "bkua_{H40}",
    "npm_{A36}",
    "pypi-AgEIcHlwaS5vcmc{A60}",
    "rubygems_{H48}",
    "cio{A32}",
    "oy2{L43}",
    "dckr_pat_{A27}",
    "CLOJARS_{L60}",
    "AKCp{A69}",
    // Clouds and data.
    "AKIA{U16}",
    "ASIA{U16}",
    "AIza{A35}",
    "ya29.{A60}",
    "GOCSPX-{A28}",
    "LTAI{A20}",
    "AKID{A32}",
    "dop_v1_{H64}",
    "HRKU-{A40}",
    "nfp_{A36}",
    "rnd_{A32}",
    "tskey-auth-{A16}-{A32}",
    "dapi{H32}",
    "sbp_{H40}",
    "pscale_tkn_{A43}",
    "napi_{L64}",
    "pat{A14}.{H64}",
    "hvs.{A95}",
    "dp.pt.{A43}",
    "AGE-SECRET-KEY-1{U58}",
    "pul-{H40}",
    // Models.
    "sk-{A48}",
    "sk-proj-{A120}",
    "sk-ant-api03-{A93}",
    "sk-or-v1-{H64}",
    "gsk_{A52}",
    "xai-{A80}",
    "pplx-{A48}",
    "r8_{A37}",
    "hf_{A34}",
    "nvapi-{A64}",
    "tvly-{A32}",
    "lsv2_pt_{H32}_{H10}",
    // Messages and money.
    "xoxb-{D12}-{A24}",
    "xoxp-{D12}-{A30}",
    "xapp-1-{U11}-{D13}-{H64}",
    "https://hooks.slack.com/services/{U9}/{U11}/{A24}",
    "https://discord.com/api/webhooks/{D18}/{A68}",
    "{D10}:AA{A33}",
    "SG.{A22}.{A43}",
    "key-{H32}",
    "xkeysib-{H64}-{A16}",
    "SK{H32}",
    "sk_live_{A24}",
    "sk_test_{A24}",
    "rk_live_{A24}",
    "whsec_{A32}",
    "sq0atp-{A22}",
    "shpat_{H32}",
    "access_token$production${L16}${H32}",
    "EZAK{A54}",
    // What happens, and work.
    "glsa_{A32}_{H8}",
    "sntryu_{H64}",
    "NRAK-{U27}",
    "dt0c01.{U24}.{U64}",
    "phx_{A43}",
    "lin_api_{A40}",
    "ntn_{A46}",
    "figd_{A40}",
    "PMAK-{H24}-{H34}",
    "CFPAT-{A43}",
    // Anybody's.
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{A20}.{A43}",
];

/// The same, of which a part is the secret: what is before and after it stays.
const PLACES: &[(&str, &str, &str)] = &[
    ("postgres://app:", "{A12}", "@db.internal/app"),
    ("https://ci:", "{A14}", "@git.example.net/x.git"),
    ("Authorization: Bearer ", "{A40}", ""),
    ("Authorization: Basic ", "{A32}", ""),
    ("DB_PASSWORD=", "{A20}", ""),
    ("\"client_secret\": \"", "{A24}", "\""),
    ("api_key: '", "{A24}", "'"),
    ("https://x.example.net/v1?a=1&access_token=", "{A16}", "&b=2"),
    ("Server=db;User Id=app;Password=", "{A10}", ";Encrypt=true"),
    ("DefaultEndpointsProtocol=https;AccountKey=", "{A86}", "==;EndpointSuffix=x"),
    ("{\"user\":\"bob\",\"password\":\"", "{A4}7q{A4}", "\"}"),
    ("'password' => '", "{A4}7q{A4}", "',"),
    ("jdbc:mysql://h/d?user=bob&password=", "{A4}7q{A4}", "&ssl=1"),
    ("os.environ['DB_PASSWORD']='", "{A4}7q{A4}", "'"),
    ("define('DB_PASSWORD', '", "{A4}7q{A4}", "');"),
    ("CREATE USER bob IDENTIFIED BY '", "{A4}7q{A4}", "';"),
    ("ALTER USER bob WITH PASSWORD '", "{A4}7q{A4}", "';"),
    ("docker login -u bob -p ", "{A4}7q{A4}", " r.example.net"),
    ("redis-cli -a ", "{A4}7q{A4}", " ping"),
    ("7z x -p", "{A4}7q{A4}", " a.7z"),
    ("openssl rsa -passin pass:", "{A4}7q{A4}", " -in k"),
    ("echo bob:", "{A4}7q{A4}", " | chpasswd"),
    ("senha=", "{A4}7q{A4}", " do banco"),
    ("aws_secret_access_key = ", "{A40}", ""),
    ("-----BEGIN RSA PRIVATE KEY-----\n", "{A64}\n{A64}", "\n-----END RSA PRIVATE KEY-----"),
    (
        "-----BEGIN OPENSSH PRIVATE KEY-----\n",
        "{A64}\n{A64}",
        "\n-----END OPENSSH PRIVATE KEY-----",
    ),
    (
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n",
        "{A64}\n{A64}",
        "\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
];

/// A text with a secret in it, and the secret.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub(crate) text: String,
    pub(crate) secret: String,
}

/// One of every kind.
pub(crate) fn canaries() -> Vec<Canary> {
    let mut seed = 20_261_129;
    let mut made = |form: &str| filled(form, &mut seed);
    let tokens = FORMS.iter().map(|form| ("", *form, ""));
    tokens
        .chain(PLACES.iter().copied())
        .map(|(before, form, after)| {
            let secret = made(form);
            let text = format!("{before}{secret}{after}");
            Canary { text, secret }
        })
        .collect()
}

fn filled(form: &str, seed: &mut u32) -> String {
    let mut text = String::new();
    let mut rest = form;
    while let Some((before, from)) = rest.split_once('{') {
        let (run, after) = from.split_once('}').unwrap();
        let letters: &[u8] = match &run[..1] {
            "A" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "H" => b"0123456789abcdef",
            "U" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            "L" => b"abcdefghijklmnopqrstuvwxyz0123456789",
            "D" => b"0123456789",
            other => panic!("{other}"),
        };
        text.push_str(before);
        text.extend((0..run[1..].parse().unwrap()).map(|_| {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(letters[(*seed >> 16) as usize % letters.len()])
        }));
        rest = after;
    }
    text + rest
}
