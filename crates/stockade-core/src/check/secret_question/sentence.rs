//! Whether a sentence asks for a secret: by a verb, or as people ask without one ("Password:", "What is
//! your password?"). Other sentences speak of secrets too ("Your password expires in three days").

use super::{places, readings, texts, words};

/// How somebody asks for what follows, within so many words.
const ASKING: &str = "\
    enter type provide give paste confirm send share supply input tell need needs require \
    requires geben gib eingeben bestatigen nennen entrez saisissez saisir indiquez \
    fournissez introduzca introduce ingrese ingresa escribe escriba indique digite insira \
    informe inserisci inserire digita introduceti voer geef ange skriv indtast oppgi anna \
    syota введите укажите введи podaj wpisz zadejte zadajte unesite adja irja εισαγετε girin \
    giriniz yazin nhap masukkan weka";
/// The same, in languages where the verb stands last.
const ASKING_AFTER: &str = "eingeben angeben mitteilen girin giriniz yazin invoeren";
/// The same, in text that is written without spaces.
const ASKING_ANYWHERE: &[&str] = &[
    "输入",
    "輸入",
    "提供",
    "填写",
    "填寫",
    "入力",
    "教えて",
    "입력",
    "알려",
    "กรอก",
    "ป้อน",
    "दर्ज",
    "أدخل",
    "ادخل",
    "وارد",
    "הזן",
    "הקלד",
    "লিখুন",
];
const WORDS_BETWEEN: usize = 6;
const NEAR: usize = 9;

/// How somebody asks where a sentence begins, or goes on behind an "and".
const BEGINNING: &str = "\
    choose pick submit reply write put fill specify state insert retype reenter unlock \
    authenticate verify";
const GOING_ON: &str = "and then or please";

/// What is said for politeness where something is asked for.
const PLEASE: &str = "\
    please bitte plait favor favore alstublieft prosze prosim пожалуиста lutfen tolong molim \
    kerem";

/// What a question begins with that wants to be told something.
const WHAT: &str = "\
    what whats which wie was welches welche welcher quel quelle quels cual qual quale wat \
    welk vad hvad hva mika какои какая каков какое jakie jake jaky jaka koje koja ποιος ποια \
    apa";

/// What may stand between that and whose secret it is.
const IS: &str = "\
    is s are was will would should shall the your ist sind lautet lauten est sont es son e \
    sao sono ar er у твои ваш jest je το ο ειναι votre ton su tu sua seu ihr dein uw ditt \
    din o a la el il";

/// With these, a question is about something else that the secret is at.
const ELSEWHERE: &str = "\
    in with without of that has have where for about mit fur von avec pour con para com on \
    at to from";

/// With these in front of it, a secret is what somebody shows: "log in with your password".
const WITH: &[(&str, &str)] = &[
    ("with", "your"),
    ("using", "your"),
    ("mit", "ihrem"),
    ("mit", "deinem"),
    ("avec", "votre"),
    ("avec", "ton"),
    ("con", "su"),
    ("con", "tu"),
    ("com", "sua"),
    ("met", "uw"),
    ("met", "je"),
];

/// Behind a secret, these say that something of it is meant and not the secret, or that something is told.
const ABOUT: &str = "\
    policy policies manager managers length rule rules reset resets rotation rotations \
    change changes changed hash hashes hashing strength expiry expiration age field fields \
    generator name names label labels title description id type types scope scopes store \
    storage vault file files page form protection protected provider was were has had have \
    will expires expired expire rotated updated removed deleted created stored used called \
    be requirements settings options wurde war hat lauft";

/// A label has these beside a secret, and nothing else.
const LABEL: &str = "\
    your the a an my new old current own account user username name login email mail e \
    master admin root ssh and or required needed here goes below key again ihr dein das \
    neues und votre ton le et su tu la y sua seu il ваш твои и uw je en";

/// Words of a question, in text that is written without spaces.
const WHAT_ANYWHERE: &[&str] = &[
    "什么",
    "什麼",
    "多少",
    "何ですか",
    "何で",
    "무엇",
    "뭐",
    "뭔가",
    "อะไร",
    "क्या",
    "ما هي",
    "ما هو",
    "מה",
];

/// Whether a word is one of a list.
fn is_in(list: &str, word: &str) -> bool {
    list.split(' ').any(|it| it == word)
}

/// The secret that a sentence asks for.
pub(super) fn asked(text: &str) -> Option<&'static str> {
    by_a_verb(text).or_else(|| texts(text).iter().find_map(|it| without_a_verb(it)))
}

/// By a verb that is near, in whatever sentence.
fn by_a_verb(text: &str) -> Option<&'static str> {
    // Once: a text may have as many secrets in it as fit.
    let asks_anywhere = ASKING_ANYWHERE.iter().any(|it| text.contains(it));
    readings(text).iter().find_map(|words| {
        let asks = |(from, to, is_anywhere, _): &(usize, usize, bool, &str)| {
            let before = words.get(..*from).unwrap_or_default();
            let after = words.get(*to..).unwrap_or_default();
            before.split(' ').rev().take(WORDS_BETWEEN + 1).any(|it| is_in(ASKING, it))
                || after.split(' ').take(WORDS_BETWEEN).any(|it| is_in(ASKING_AFTER, it))
                || *is_anywhere && asks_anywhere
        };
        places(words).find(asks).map(|(.., secret)| secret)
    })
}

/// As a label, a question, or a plea: each sentence by itself.
fn without_a_verb(text: &str) -> Option<&'static str> {
    text.split_inclusive(ends).find_map(|sentence| {
        let words = words(sentence);
        let end = sentence.chars().last().filter(|it| ends(*it));
        let (long, asks_what) =
            (letters(&words), WHAT_ANYWHERE.iter().any(|it| sentence.contains(it)));
        let asks = |(from, to, is_anywhere, _): &(usize, usize, bool, &str)| {
            let part = |range| words.get(range).unwrap_or_default();
            if *is_anywhere {
                let more = long.saturating_sub(letters(part(*from..*to)));
                return is_asked_anywhere(more, asks_what, end);
            }
            let after = part(*to..words.len());
            // The word of the secret may go on.
            let is_whole = part(0..*to).ends_with(' ');
            let after = if is_whole { after } else { after.split_once(' ').map_or("", |it| it.1) };
            is_asked(part(0..*from), after, end)
        };
        places(&words).find(asks).map(|(.., secret)| secret)
    })
}

/// Where a sentence, or a label, ends.
fn ends(it: char) -> bool {
    matches!(
        it,
        '.' | '!' | '?' | ':' | ';' | '\n' | '。' | '！' | '？' | '：' | '；' | '؟' | '،' | '।'
    )
}

fn is_colon(end: Option<char>) -> bool {
    matches!(end, Some(':' | '：'))
}

/// Whether what stands around a secret asks for it.
fn is_asked(before: &str, after: &str, end: Option<char>) -> bool {
    // No more is looked at than is near.
    let mut before: Vec<&str> = before.rsplit(' ').filter(|it| !it.is_empty()).take(NEAR).collect();
    before.reverse();
    let after: Vec<&str> = after.split(' ').filter(|it| !it.is_empty()).take(NEAR).collect();
    if after.first().is_some_and(|it| is_in(ABOUT, it)) || is_of_it(&before) {
        return false;
    }
    let is_label = || {
        before.len() + after.len() <= 6 && before.iter().chain(&after).all(|it| is_in(LABEL, it))
    };
    let is_question = || {
        // "was" asks in German, and tells in English.
        let asks = |(at, it): (usize, &&str)| is_in(WHAT, it) && (*it != "was" || at == 0);
        let at = before.iter().enumerate().rfind(|it| asks(*it));
        let between = at.and_then(|(at, _)| before.get(at + 1..));
        between.is_some_and(|it| {
            it.len() <= 4
                && it.first().is_none_or(|it| is_in(IS, it))
                && !it.iter().any(|it| is_in(ELSEWHERE, it))
        })
    };
    let is_plea = || {
        let mut near = before.iter().rev().take(WORDS_BETWEEN).chain(after.iter().take(2));
        near.any(|it| is_in(PLEASE, it))
    };
    let is_begun = || {
        let at = before.iter().rposition(|it| is_in(BEGINNING, it));
        at.is_some_and(|at| {
            let goes_on = || before.get(at - 1).is_some_and(|it| is_in(GOING_ON, it));
            before.len() - at <= 5 && (at == 0 || goes_on())
        })
    };
    let is_with = || {
        let mut pairs = before.iter().zip(before.iter().skip(1)).rev().take(4);
        pairs.any(|(a, b)| WITH.contains(&(*a, *b)))
    };
    is_colon(end) && before.len() <= 2
        || is_label()
        || is_question()
        || is_plea()
        || is_with()
        || is_begun()
        || after.iter().take(WORDS_BETWEEN).any(|it| *it == "nedir")
}

/// Whether something of the secret is meant: "the name of the API key".
fn is_of_it(before: &[&str]) -> bool {
    let mut rest = before
        .iter()
        .rev()
        .skip_while(|it| matches!(**it, "the" | "a" | "an" | "your" | "new" | "this"));
    matches!(rest.next(), Some(&"of" | &"for")) && rest.next().is_some_and(|it| is_in(ABOUT, it))
}

/// The same of text without spaces, by how much else there is in the sentence.
fn is_asked_anywhere(more: usize, asks_what: bool, end: Option<char>) -> bool {
    let is_question = matches!(end, Some('?' | '？' | '؟'));
    is_colon(end) && more <= 6
        || end.is_none() && more <= 2
        || is_question && (more <= 3 || asks_what)
}

fn letters(text: &str) -> usize {
    text.chars().filter(|it| it.is_alphanumeric()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_asked_for_in_many_languages() {
        for text in [
            "Enter your password",
            "Bitte geben Sie Ihr Passwort ein",
            "Bitte das Kennwort eingeben",
            "Saisissez votre mot de passe",
            "Introduzca su contraseña",
            "Digite sua senha",
            "Inserisci il codice di verifica",
            "Voer uw wachtwoord in",
            "Введите пароль",
            "Podaj hasło",
            "Zadejte heslo",
            "Adja meg a jelszavát",
            "Lütfen şifrenizi girin",
            "Nhập mật khẩu",
            "Masukkan kata sandi Anda",
            "请输入您的密码",
            "パスワードを入力してください",
            "비밀번호를 입력하세요",
            "กรุณากรอกรหัสผ่าน",
            "कृपया पासवर्ड दर्ज करें",
            "أدخل كلمة المرور",
            "Please enter your p\u{430}ssw\u{43e}rd",
            "Please enter your \u{ff50}\u{ff41}\u{ff53}\u{ff53}word",
        ] {
            assert!(asked(text).is_some(), "{text}");
        }
        for text in [
            "Your password expires in three days. What shall I call the branch?",
            "Le mot de passe a été changé. Quelle branche ?",
            "密码已更改。分支叫什么？",
            "Which colour?",
            "Enter the title of the card",
        ] {
            assert_eq!(asked(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_asked_for_without_a_verb() {
        for text in [
            "What is your password?",
            "What's the API key?",
            "Password?",
            "Password:",
            "Your password, please",
            "[sudo] password for alice:",
            "Login failed. Password for alice:",
            "Please log in with your password",
            "Which password do you use?",
            "Log in: user name and password",
            "Your API key goes here",
            "Wie lautet Ihr Passwort?",
            "Quel est votre mot de passe ?",
            "¿Cuál es su contraseña?",
            "Какой у вас пароль?",
            "您的密码是什么？",
            "密码：",
            "パスワードは何ですか？",
            "Key passphrase",
            "Authenticate with your password",
            "Choose a password",
            "Passwort bitte",
            "Şifreniz nedir?",
            "What is your p\u{430}ssw\u{43e}rd?",
        ] {
            assert!(asked(text).is_some(), "{text}");
        }
        for text in [
            "What is your password policy?",
            "Which password manager do you use?",
            "Reset your password?",
            "What is the name of the API key?",
            "Password changed.",
            "Which branch has the API key in it?",
            "What shall the branch with the password change be called?",
            "The API key was rotated. Which branch?",
            "Which service is the API key for?",
            "Password policy",
            "密码已更改。",
        ] {
            assert_eq!(asked(text), None, "{text}");
        }
    }
}
