#![doc = include_str!("secret_question.md")]

mod sentence;

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::secret::is_secret_name;
use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
use crate::name;
use crate::subject::{Channel, Subject};

pub(super) struct This;

/// What a form may not ask for, as it is said in it: words one after the other. A star stands for any
/// end of a word. What is written without spaces is found anywhere.
const SECRETS: &[&str] = &[
    // English.
    "password*",
    "passphrase*",
    "passcode*",
    "api key*",
    "apikey*",
    "access token*",
    "access key*",
    "auth token*",
    "bearer token*",
    "refresh token*",
    "session token*",
    "personal access token*",
    "secret key*",
    "private key*",
    "recovery phrase*",
    "seed phrase*",
    "mnemonic phrase*",
    "recovery code*",
    "backup code*",
    "verification code*",
    "one time code*",
    "one time password*",
    "otp",
    "2fa code*",
    "mfa code*",
    "authenticator code*",
    "pin code*",
    "pin number*",
    "your pin",
    "credentials",
    "credit card*",
    "debit card*",
    "card number*",
    "cvv",
    "cvc",
    "cvv2",
    "security code*",
    "client secret*",
    "session cookie*",
    "ssh key*",
    // German, Dutch, the languages of the north.
    "passwort*",
    "kennwort*",
    "passwoerter",
    "zugangsdaten",
    "api schluessel",
    "api schlussel*",
    "zugangstoken*",
    "geheimschlussel*",
    "privater schlussel",
    "privaten schlussel",
    "sicherheitscode*",
    "bestatigungscode*",
    "kreditkarte*",
    "kartennummer*",
    "prufziffer",
    "wachtwoord*",
    "toegangscode*",
    "creditcardnummer*",
    "kaartnummer*",
    "beveiligingscode*",
    "losenord*",
    "adgangskode*",
    "passord*",
    "kortnummer*",
    "kodeord*",
    "sakerhetskod*",
    "salasana*",
    "tunnusluku*",
    "luottokort*",
    "lykilorð*",
    // French, Spanish, Portuguese, Italian, Romanian, Catalan.
    "mot de passe",
    "mots de passe",
    "cle api",
    "cle d api",
    "cle secrete",
    "cle privee",
    "jeton d acces",
    "code de verification",
    "code de securite",
    "carte bancaire",
    "carte de credit",
    "numero de carte",
    "contrasena*",
    "clave de api",
    "clave api",
    "clave secreta",
    "clave privada",
    "token de acceso",
    "codigo de verificacion",
    "codigo de seguridad",
    "tarjeta de credito",
    "numero de tarjeta",
    "numero de la tarjeta",
    "senha*",
    "palavra passe",
    "chave de api",
    "chave da api",
    "chave secreta",
    "chave privada",
    "token de acesso",
    "codigo de verificacao",
    "codigo de seguranca",
    "cartao de credito",
    "numero do cartao",
    "parola d ordine",
    "chiave api",
    "chiave segreta",
    "chiave privata",
    "token di accesso",
    "codice di verifica",
    "codice di sicurezza",
    "carta di credito",
    "numero di carta",
    "numero della carta",
    "parola de acces",
    "parola dvs",
    "parola ta",
    "parola contului",
    "card de credit",
    "contrasenya*",
    // Slavic languages, Hungarian, Greek, Turkish.
    "парол*",
    "ключ api",
    "api ключ*",
    "секретный ключ",
    "приватный ключ",
    "закрытый ключ",
    "токен*",
    "код подтверждения",
    "код безопасности",
    "номер карты",
    "пин код*",
    "лозинк*",
    "шифра за достъп",
    "haslo",
    "hasla",
    "klucz api",
    "klucz prywatny",
    "numer karty",
    "kod weryfikacyjny",
    "heslo",
    "hesla",
    "klic api",
    "cislo karty",
    "overovaci kod",
    "lozink*",
    "zaporka",
    "broj kartice",
    "geslo",
    "jelszo*",
    "jelszav*",
    "bankkartya*",
    "bankkartyaszam*",
    "κωδικο* προσβασης",
    "κωδικος προσβασης",
    "αριθμος καρτας",
    "sifre*",
    "sifreniz*",
    "parolanizi",
    "parolaniz*",
    "api anahtari*",
    "kart numarasi*",
    "kredi karti*",
    "dogrulama kodu*",
    "guvenlik kodu*",
    // Vietnamese, Indonesian, Swahili.
    "mat khau",
    "khoa api",
    "ma xac minh",
    "so the tin dung",
    "kata sandi",
    "kunci api",
    "kode verifikasi",
    "nomor kartu",
    "nenosiri",
    "nywila",
    // Written without spaces, or with what stands before and behind a word joined to it.
    "密码",
    "密碼",
    "口令",
    "密钥",
    "密鑰",
    "金鑰",
    "令牌",
    "验证码",
    "驗證碼",
    "信用卡号",
    "信用卡號",
    "卡号",
    "安全码",
    "パスワード",
    "暗証番号",
    "秘密鍵",
    "認証コード",
    "確認コード",
    "カード番号",
    "apiキー",
    "비밀번호",
    "암호",
    "인증번호",
    "카드번호",
    "카드 번호",
    "api 키",
    "รหัสผ่าน",
    "หมายเลขบัตร",
    "पासवर्ड",
    "पिन कोड",
    "एपीआई कुंजी",
    "كلمة المرور",
    "كلمة السر",
    "رمز التحقق",
    "رقم البطاقة",
    "مفتاح api",
    "گذرواژه",
    "رمز عبور",
    "סיסמה",
    "סיסמא",
    "מפתח api",
    "מספר כרטיס",
    "পাসওয়ার্ড",
    "கடவுச்சொல்",
];

/// Of names and titles, besides those that say that their value is a secret.
const NAMES: &[&str] = &[
    "pin",
    "otp",
    "cvv",
    "cvc",
    "cvv2",
    "mnemonic",
    "seedphrase",
    "cardnumber",
    "ccnumber",
    "creditcard",
    "token",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "totp",
];

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::secret_question
    }

    fn subject(&self, subject: Subject<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel != Channel::Elicitation {
            return;
        }
        let question = subject.asked();
        let schema = question.get("requestedSchema");
        let mut takes_text = false;
        for field in schema.into_iter().flat_map(Json::all).filter(|it| is_field(*it)) {
            if !is_free(field) {
                continue;
            }
            takes_text = true;
            let name = field.name().unwrap_or_default();
            let text = |name| field.get(name).and_then(Json::str);
            let title = text("title");
            let titles = ["title", "description"].into_iter().filter_map(text);
            let secret = [Some(name), title].into_iter().flatten().find(|it| named(it));
            let hidden = text("format").filter(|it| it.eq_ignore_ascii_case("password"));
            let what = secret.map(|it| super::visible(&super::clipped(it, 60)));
            let what = what.or_else(|| titles.clone().find_map(said).map(str::to_owned));
            if let Some(what) = what.or_else(|| hidden.map(str::to_owned)) {
                out.add(At::Value(field), format!("the form asks for `{what}`"));
                return;
            }
        }
        // What stands above the fields is read with them.
        let of_schema = |name| schema.and_then(|it| it.get(name));
        let above = [question.get("message"), of_schema("title"), of_schema("description")];
        let mut above = above.into_iter().flatten().filter(|_| takes_text);
        if let Some((text, what)) = above.find_map(|it| Some((it, sentence::asked(it.str()?)?))) {
            out.add(At::Value(text), format!("a person is asked for `{what}`"));
        }
    }
}

/// Whether it describes what is filled in: a property, wherever one is, or the elements of a list.
fn is_field(json: Json<'_>) -> bool {
    const HOLDERS: &[&str] = &["properties", "patternProperties", "$defs", "definitions"];
    let holder = json.parent().and_then(Json::name);
    json.is_object()
        && (json.name() == Some("items") || holder.is_some_and(|it| HOLDERS.contains(&it)))
}

/// Whether anything can be typed into it: unless it is a yes or no, or has values to choose from in one
/// of the ways that MCP has for that. Others are passed over by clients, which show a line to type into.
fn is_free(field: Json<'_>) -> bool {
    match field.get("type").map(Json::str) {
        Some(Some("boolean" | "null")) => false,
        Some(Some("array")) => {
            field.get("items").is_none_or(|it| !is_choice(it, &["anyOf", "oneOf"]))
        }
        Some(Some("string")) | None if field.name() == Some("items") => {
            !is_choice(field, &["anyOf", "oneOf"])
        }
        Some(Some("string")) | None => !is_choice(field, &["oneOf"]),
        Some(_) => true,
    }
}

/// Whether there is a list of texts to choose from: bare (`enum`), or with a title each.
fn is_choice(field: Json<'_>, titled: &[&str]) -> bool {
    let all = |list: Option<Json<'_>>, is: fn(Json<'_>) -> bool| {
        list.is_some_and(|it| it.items().next().is_some() && it.items().all(is))
    };
    let has_title = |it: Json<'_>| {
        ["const", "title"].iter().all(|name| it.get(name).and_then(Json::str).is_some())
    };
    all(field.get("enum"), |it| it.str().is_some())
        || titled.iter().any(|name| all(field.get(name), has_title))
}

fn named(name: &str) -> bool {
    let reads = undisguised(name);
    let plain: String =
        reads.chars().filter(|it| it.is_alphanumeric()).collect::<String>().to_lowercase();
    is_secret_name(&reads) || NAMES.contains(&&*plain)
}

/// A name as it reads: letters that look like those of ASCII are those.
fn undisguised(text: &str) -> Cow<'_, str> {
    name::undisguised(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Words in small letters and without marks, with a space before and behind each.
fn words(text: &str) -> String {
    let plain: String = text.nfkd().filter(|it| !is_combining_mark(*it)).collect();
    let mut words = String::from(" ");
    for word in plain.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty()) {
        words.extend(word.chars().flat_map(char::to_lowercase).map(plainer));
        words.push(' ');
    }
    words
}

/// A letter without a mark that is part of it.
fn plainer(it: char) -> char {
    match it {
        'ı' => 'i',
        'ł' => 'l',
        'đ' => 'd',
        'ø' => 'o',
        it => it,
    }
}

/// The secrets, by what they are found by: for each the words, whether the last may go on, and whether
/// it is found anywhere.
static FOUND: LazyLock<Vec<(&str, String, bool, bool)>> = LazyLock::new(|| {
    let spaced =
        |it: char| it.is_ascii() || matches!(it, '\u{80}'..='\u{24f}' | '\u{370}'..='\u{52f}');
    let each = SECRETS.iter().map(|it| {
        let is_anywhere = !it.chars().all(spaced);
        (*it, words(it), it.ends_with('*'), is_anywhere)
    });
    each.collect()
});

/// Where a secret is said in words, and which.
fn places(words: &str) -> impl Iterator<Item = (usize, usize, bool, &'static str)> {
    let shown = |it: &'static str| it.trim_end_matches('*');
    FOUND.iter().flat_map(move |(secret, said, goes_on, is_anywhere)| {
        let whole = match (is_anywhere, goes_on) {
            (true, _) => said.trim(),
            (false, true) => said.trim_end(),
            (false, false) => said,
        };
        let found = words.match_indices(whole).map(|(at, it)| (at, at + it.len()));
        found.map(move |(from, to)| (from, to, *is_anywhere, shown(secret))).collect::<Vec<_>>()
    })
}

/// The secret that a label is about.
fn said(text: &str) -> Option<&'static str> {
    readings(text).iter().find_map(|it| places(it).next().map(|(.., secret)| secret))
}

/// A text as it stands there, and as it reads, in words.
fn readings(text: &str) -> Vec<String> {
    texts(text).iter().map(|it| words(it)).collect()
}

/// A text as it stands there, and as it reads.
fn texts(text: &str) -> Vec<Cow<'_, str>> {
    let reads = undisguised(text);
    let is_other = matches!(reads, Cow::Owned(_));
    [Some(Cow::Borrowed(text)), is_other.then_some(reads)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_disguise_is_known() {
        for name in ["pаssword", "api_key", "CVV", "PIN", "card-number", "\u{ff30}\u{ff29}\u{ff2e}"]
        {
            assert!(named(name), "{name}");
        }
        for name in ["name", "colour", "pinboard", "passenger", "card_title"] {
            assert!(!named(name), "{name}");
        }
    }
}
