use super::*;

fn found(text: &str) -> Vec<&'static str> {
    let plain = plain(text);
    let mut found = money::find(&plain);
    found.extend(identity::find(&plain, ""));
    found.extend(marking(text));
    found
}

#[test]
fn what_has_its_check_digits_is_found() {
    for text in [
        "4539 1488 0343 6467",
        "5425-2334-3010-9903",
        "card 374245455400126",
        "6011556448578943",
        "3742 454554 00126",
        "DE89 3704 0044 0532 0130 00",
        "iban NL39RABO0300065264.",
        "de89370400440532013000",
        "DE89-3704-0044-0532-0130-00",
        "nl39 rabo 0300 0652 64",
        "4539.1488.0343.6467",
        "4539\u{a0}1488\u{2009}0343\u{202f}6467",
        "４５３９ １４８８ ０３４３ ６４６７",
        "4539\u{200b}148803436467",
        "4539\u{2011}1488\u{2011}0343\u{2011}6467",
        "card 4539 5787 6362 1486 12/29",
        "card 4539 5787 6362 1486 12/29 123",
        "4539578763621486 123",
        "Visa 2 4539 5787 6362 1486",
        "Visa2 4539 5787 6362 1486 3rd",
        "4539 5787 6362 1486 4556 7375 8689 9855",
        "4539 5787 6362 1486 4556 7375 8689 9855 4539 1488 0343 6467",
        "4539578763621486 4556737586899855",
        "4539  5787  6362  1486",
        "4539/5787/6362/1486",
        "4539 / 5787 / 6362 / 1486 12/29",
        "4539 - 5787 - 6362 - 1486",
        "2 536-90-4399 2030",
        "CPF 1 529.982.247-25 2",
        "BSN 111222333 2 1990",
        "TLP: RED",
        "TLP RED",
        "TLP: AMBER+STRICT",
        "FR1420041010050500013M02606",
        "536-90-4399",
        "social security number 536904399",
        "529.982.247-25",
        "11010519491231002X",
        "110101199003071014",
        "RSSMRA85T10A562S",
        "BSN 111222333",
        "DNI: 12345678Z",
        "nie X1234567L",
        "Steuer-ID 86095742719",
        "PESEL 44051401359",
        "Aadhaar 2341 2341 2346",
        "NIR 2 55 08 14 168 025 38",
        "personnummer 811218-9876",
        "National Insurance: AB123456C",
        "TOP SECRET//NOFORN",
        "TLP:RED",
        "a\n*** CONFIDENTIAL ***\nb",
    ] {
        assert!(!found(text).is_empty(), "{text}");
    }
}

#[test]
fn what_only_looks_like_it_is_not() {
    for text in [
        "4539 1488 0343 6468",
        "DE89 3704 0044 0532 0130 01",
        "000-12-3456",
        "219-099-999",
        "219 09 9999",
        "529.982.247-26",
        "2026-03-04 12:34:56",
        "1700000000000000",
        "192.168.100.100",
        "550e8400-e29b-41d4-a716-446655440000",
        "order 111222333",
        "12345678Z",
        "86095742719",
        "44051401359",
        "id_4539148803436467",
        "x4539148803436467",
        "https://h/p/4539148803436467",
        "v1.2.3-4.5.6",
        "+1 202 555 0143",
        "0000 0000 0000 0000",
        "a confidential talk about secrets",
        "SECRET_KEY is set; CONFIDENTIALITY matters",
        "3.14159265358979",
        "AB123456C",
        // What networks and states have published for tests and forms.
        "4242 4242 4242 4242",
        "4111 1111 1111 1111",
        "4111111111111111",
        "5555-5555-5555-4444",
        "378282246310005",
        "6011111111111117",
        "SSN format: 123-45-6789",
        "SSN 000-00-0000",
        "ssn 078-05-1120",
        "GB82 WEST 1234 5698 7654 32",
        "gb82west12345698765432",
        "be12ab34cd56ef78",
        "TLP:GREEN",
        "TLP is short for Traffic Light Protocol",
        "4242.4242.4242.4242",
        "１２３４ ５６７８ ９０１２ ３４５６",
        "0.4539148803436467",
        "https://h/4539/5787/6362/1486",
        "id-4539-5787-6362-1486",
        "1 219 09 9999 2",
        "12 4539 5787 6362 1487 4539 5787",
        // A table of numbers, with a card by chance.
        "1204 4539 5787 6362 1486 1333 9120 8341 7720 1093 6671 2380 9914",
    ] {
        assert_eq!(found(text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn contacts_of_examples_are_nobodys() {
    for text in [
        "jane@example.com",
        "a@mail.example.org",
        "a@b.invalid",
        "+1 202 555 0143",
        "(202) 555-0143",
    ] {
        assert!(contacts::emails(text) == 0 && !contacts::has_phone(text), "{text}");
    }
    assert!(contacts::has_phone("+1 202 456 1111") && contacts::has_phone("(202) 456-1111"));
    assert_eq!(contacts::emails("jane.doe@acme-corp.com"), 1);
}
