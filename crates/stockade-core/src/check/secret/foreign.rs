//! What a password is called in other languages than that of programs: people write it so in notes
//! and mails.

use std::ops::Range;

use super::password::{Trust, is_password};

/// The most bytes that a password is taken to have.
const VALUE_MAX: usize = 128;

/// By how a name ends: Spanish, Portuguese, French, Italian, Dutch, Swedish, Danish, Polish, Czech,
/// Turkish, Finnish, Russian, Ukrainian, Chinese, Japanese, Korean.
const NAMES: [&str; 24] = [
    "contraseña",
    "Contraseña",
    "contrasena",
    "senha",
    "Senha",
    "mot de passe",
    "Mot de passe",
    "mot_de_passe",
    "kennwort",
    "Kennwort",
    "wachtwoord",
    "lösenord",
    "adgangskode",
    "hasło",
    "Hasło",
    "heslo",
    "şifre",
    "salasana",
    "пароль",
    "Пароль",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
];

/// What is assigned to such a name, between whose end and the value is a sign.
pub(super) fn after(text: &[u8], sign: usize, from: usize) -> Option<Range<usize>> {
    let before = text.get(..sign)?;
    let quotes = |it: &&u8| matches!(it, b' ' | b'"' | b'\'');
    let between = before.iter().rev().take(3).take_while(quotes).count();
    let before = before.get(..before.len() - between)?;
    // Most of what is assigned has a name that ends in other letters.
    matches!(before.last()?, b'a' | b'e' | b'o' | b't' | b'd' | 0x80..).then_some(())?;
    let name = NAMES.iter().find(|it| before.ends_with(it.as_bytes()))?;
    // In the letters of programs it may be the end of another word.
    let earlier = before.get(..before.len() - name.len())?.last();
    if earlier.is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let rest = text.get(from..)?;
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    let blank = rest.iter().take(4).take_while(|it| quotes(it) || **it == b'\t').count();
    let is_part =
        |it: &&u8| !it.is_ascii_whitespace() && it.is_ascii() && !b"\"'`<>(){}[],;".contains(it);
    let length = rest.iter().skip(blank).take_while(is_part).count();
    let value = from + blank..from + blank + length;
    // A full stop is of the sentence.
    let bytes = text.get(value.clone())?;
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    is_password(bytes, Trust::Some).then_some(value.start..value.start + bytes.len())
}
