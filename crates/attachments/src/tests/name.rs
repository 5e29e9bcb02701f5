//! Names, friendly and hostile.

use proptest::prelude::*;
use uuid::Uuid;

use crate::name::{FileName, sanitise};

const ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
const DIGITS: &str = "00112233445566778899aabbccddeeff";

#[test]
fn a_file_is_served_under_its_id_and_a_harmless_extension() {
    for (original, extension) in [
        ("report.pdf", ".pdf"),
        ("REPORT.PDF", ".pdf"),
        ("archive.tar.gz", ".gz"),
        ("song.mp3", ".mp3"),
        ("a.0123456789", ".0123456789"),
        ("a.01234567890", ""),
        ("report", ""),
        ("report.", ""),
        ("", ""),
        ("a.p df", ""),
        ("a.php%00", ""),
        ("a.ｐｄｆ", ""),
        ("a.pdf/../../b", ""),
    ] {
        let name = FileName::new(ID, original).to_string();
        assert_eq!(name, format!("{DIGITS}{extension}"), "{original}");
    }
}

#[test]
fn only_names_of_the_own_form_are_read() {
    for name in [
        DIGITS.to_owned(),
        format!("{DIGITS}.pdf"),
        format!("{DIGITS}.0123456789"),
    ] {
        assert_eq!(FileName::parse(&name).unwrap().to_string(), name);
    }
    for name in [
        "",
        ".",
        "..",
        "../secret",
        "..\\secret",
        "/etc/passwd",
        "%2e%2e%2fsecret",
        "00112233-4455-6677-8899-aabbccddeeff",
        "{00112233445566778899aabbccddeeff}",
        "00112233445566778899AABBCCDDEEFF",
        "00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeeff0",
        "00112233445566778899aabbccddeeff.",
        "00112233445566778899aabbccddeeff.PDF",
        "00112233445566778899aabbccddeeff.p/f",
        "00112233445566778899aabbccddeeff..pdf",
        "00112233445566778899aabbccddeeff.tar.gz",
        "00112233445566778899aabbccddeeff.01234567890",
        "00112233445566778899aabbccddeeff/../x",
        "00112233445566778899aabbccddeeff\0",
        "00112233445566778899aabbccddeeff.pdf\n",
        " 00112233445566778899aabbccddeeff",
        "٠٠١١٢٢٣٣٤٤٥٥٦٦٧٧",
    ] {
        assert!(FileName::parse(name).is_none(), "{name:?}");
    }
}

#[test]
fn a_hostile_name_becomes_a_harmless_one() {
    for (original, kept) in [
        ("report.pdf", "report.pdf"),
        ("Grüße 👩‍👩‍👧.txt", "Grüße 👩‍👩‍👧.txt"),
        ("../../etc/passwd", "....etcpasswd"),
        ("..\\..\\boot.ini", "....boot.ini"),
        ("C:\\temp\\x.txt", "C:tempx.txt"),
        ("a\0b.txt", "ab.txt"),
        ("a\r\nSet-Cookie: b.txt", "aSet-Cookie: b.txt"),
        ("a\u{85}\u{2028}\u{2029}b", "ab"),
        ("invoice\u{202E}fdp.exe", "invoicefdp.exe"),
        ("\u{2066}a\u{2069}\u{200F}\u{61C}", "a"),
        ("  a.txt \t", "a.txt"),
        ("CON", "CON"),
        ("", "file"),
        (".", "file"),
        ("../..", "file"),
        (" \u{202E}\n", "file"),
        (".gitignore", ".gitignore"),
    ] {
        assert_eq!(sanitise(original), kept, "{original:?}");
    }
}

#[test]
fn a_long_name_is_cut_between_characters() {
    assert_eq!(sanitise(&"x".repeat(10_000)).len(), 255);
    let cut = sanitise(&"ä".repeat(10_000));
    assert_eq!(cut, "ä".repeat(127));
}

proptest! {
    #[test]
    fn every_name_that_is_made_can_be_read(id: u128, original: String) {
        let name = FileName::new(Uuid::from_u128(id), &original);
        prop_assert_eq!(FileName::parse(&name.to_string()), Some(name));
    }

    #[test]
    fn what_is_read_is_what_was_written(name in "[0-9a-fA-F]{31,33}(\\.[a-zA-Z0-9./]{0,12})?") {
        if let Some(read) = FileName::parse(&name) {
            prop_assert_eq!(read.to_string(), name);
        }
    }

    #[test]
    fn nothing_harmful_is_left(original in "(?s:.){0,400}") {
        let kept = sanitise(&original);
        prop_assert!(!kept.is_empty() && kept.len() <= 255);
        prop_assert!(!kept.chars().any(|c| c.is_control() || c == '/' || c == '\\'));
        prop_assert_eq!(sanitise(&kept), kept);
    }
}
