//! Types by bytes, and what a wrong name does to them.

use proptest::prelude::*;

use crate::content_type::{Sniffer, is_inline};

const UNKNOWN: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0";
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0;";
const WEBP: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 ";
const PDF: &[u8] = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n";
const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\x08\0";

fn content_type(bytes: &[u8], extension: &str, declared: &str) -> &'static str {
    let mut sniffer = Sniffer::default();
    sniffer.feed(bytes);
    let extension = Some(extension).filter(|extension| !extension.is_empty());
    sniffer.content_type(extension, declared)
}

#[test]
fn the_bytes_say_what_a_file_is() {
    for (bytes, extension, declared, wanted) in [
        (PNG, "png", "image/png", "image/png"),
        (PNG, "", "", "image/png"),
        (PNG, "xyz", "application/octet-stream", "image/png"),
        (JPEG, "jpg", "image/jpeg", "image/jpeg"),
        (JPEG, "jpeg", "image/jpg", "image/jpeg"),
        (JPEG, "jfif", "image/pjpeg", "image/jpeg"),
        (GIF, "gif", "image/gif", "image/gif"),
        (WEBP, "webp", "IMAGE/WEBP ; q=1", "image/webp"),
        (PDF, "pdf", "application/pdf", "application/pdf"),
        (b"%PDF-1.4\nall of it text\n", "pdf", "", "application/pdf"),
        (b"hello\n", "txt", "text/plain", TEXT),
        (b"BMW is a car, MZ a motorcycle", "txt", "", TEXT),
        (
            "\u{FEFF}Gr\u{FC}\u{DF}e\r\n\t".as_bytes(),
            "md",
            "text/markdown",
            TEXT,
        ),
        (b"{\"a\": 1}", "json", "application/json", TEXT),
        (b"1 < 2, and <3 is a heart", "", "", TEXT),
        (b"< not a tag", "", "", TEXT),
        (b"#!/bin/sh\n", "sh", "text/x-sh", TEXT),
        (b"fn main() {}", "rs", "", TEXT),
        (b"", "txt", "", TEXT),
        (ZIP, "zip", "application/zip", "application/zip"),
        (b"\x01\x02\x03", "", "", UNKNOWN),
    ] {
        assert_eq!(
            content_type(bytes, extension, declared),
            wanted,
            "{bytes:?} {extension} {declared}"
        );
    }
}

#[test]
fn a_contradiction_makes_it_unknown() {
    for (bytes, extension, declared) in [
        (PNG, "jpg", ""),
        (PNG, "pdf", ""),
        (PNG, "txt", ""),
        (PNG, "html", ""),
        (PNG, "svg", ""),
        (PNG, "png", "image/jpeg"),
        (PNG, "png", "text/plain"),
        (PNG, "png", "text/html"),
        (PNG, "png", "image/svg+xml"),
        (JPEG, "png", ""),
        (PDF, "html", ""),
        (PDF, "pdf", "text/html"),
        (ZIP, "png", ""),
        (b"hello", "png", ""),
        (b"hello", "jpeg", ""),
        (b"hello", "", "image/jpeg"),
        (b"hello", "", "application/pdf"),
        // A script that begins like a picture.
        (b"GIF89a=1;alert(1)", "gif", "image/gif"),
    ] {
        assert_eq!(
            content_type(bytes, extension, declared),
            UNKNOWN,
            "{bytes:?} {extension} {declared}"
        );
    }
}

#[test]
fn what_a_browser_would_run_is_never_shown() {
    let markup: [&[u8]; 8] = [
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<?xml version='1.0'?><x/>",
        b"\xEF\xBB\xBF \n\t<html>",
        b"\x0C\r\n<sCrIpT>alert(1)</sCrIpT>",
        b"<!-- --><img src=x onerror=alert(1)>",
        b"</p><script>",
        b"<x-y>",
    ];
    for bytes in markup {
        for (extension, declared) in [
            ("", ""),
            ("txt", "text/plain"),
            ("svg", "image/svg+xml"),
            ("html", "text/html"),
        ] {
            assert_eq!(
                content_type(bytes, extension, declared),
                UNKNOWN,
                "{bytes:?}"
            );
        }
    }
    for extension in ["js", "mjs", "css", "html", "xhtml", "svg", "xml"] {
        assert_eq!(
            content_type(b"alert(1)", extension, ""),
            UNKNOWN,
            "{extension}"
        );
    }
    for declared in [
        "text/javascript",
        "application/xhtml+xml",
        "text/html;charset=utf-7",
        "text/xml",
        "text/css",
    ] {
        assert_eq!(
            content_type(b"alert(1)", "", declared),
            UNKNOWN,
            "{declared}"
        );
    }
}

#[test]
fn only_pictures_pdf_and_plain_text_are_shown() {
    for shown in [
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "application/pdf",
        TEXT,
    ] {
        assert!(is_inline(shown), "{shown}");
    }
    for not in [
        UNKNOWN,
        "image/svg+xml",
        "text/html",
        "text/plain",
        "application/zip",
        "video/mp4",
        "",
    ] {
        assert!(!is_inline(not), "{not}");
    }
}

#[test]
fn one_bad_byte_at_the_end_of_much_text_makes_it_no_text() {
    for bad in [
        &b"\0"[..],
        b"\x1B[2J",
        b"\x7F",
        b"\xFF",
        b"\xC3",
        b"\xED\xA0\x80",
        b"\xC0\x80",
    ] {
        let mut bytes = vec![b'a'; 100_000];
        bytes.extend_from_slice(bad);
        assert_eq!(content_type(&bytes, "txt", ""), UNKNOWN, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        bytes in prop_oneof![any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes)],
        cuts in prop::collection::vec(1..6_usize, 0..200),
    ) {
        let mut sniffer = Sniffer::default();
        let mut rest = bytes.as_slice();
        for cut in cuts {
            let (piece, remaining) = rest.split_at(cut.min(rest.len()));
            sniffer.feed(piece);
            rest = remaining;
        }
        sniffer.feed(rest);
        prop_assert_eq!(sniffer.content_type(None, ""), content_type(&bytes, "", ""));
    }

    #[test]
    fn plain_text_is_utf8_without_control_bytes(bytes: Vec<u8>) {
        if content_type(&bytes, "", "") == TEXT {
            let text = str::from_utf8(&bytes).unwrap();
            prop_assert!(!text.chars().any(|c| c.is_ascii_control() && !"\t\n\r\x0C".contains(c)));
        }
    }
}
