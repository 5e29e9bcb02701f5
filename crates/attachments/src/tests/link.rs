//! Links that are good, forged or old.

use crate::link::{LinkKey, expiry};

const NAME: &str = "00112233445566778899aabbccddeeff.pdf";

fn mac(query: &str) -> &str {
    query.split_once("&signature=").unwrap().1
}

#[test]
fn a_link_is_good_for_its_name_until_it_expires() {
    let key = LinkKey::new(&[7; 32]);
    let query = key.query(NAME, 1_000);
    assert!(query.starts_with("expires=1000&signature="), "{query}");
    let mac = mac(&query);
    assert!(key.verify(NAME, 1_000, mac, 999).is_ok());
    assert!(key.verify(NAME, 1_000, mac, 1_000).is_err(), "expired");
    assert!(key.verify(NAME, 1_001, mac, 0).is_err(), "another expiry");
    let other = "00112233445566778899aabbccddeefe.pdf";
    assert!(key.verify(other, 1_000, mac, 0).is_err(), "another name");
    assert!(
        LinkKey::new(&[8; 32]).verify(NAME, 1_000, mac, 0).is_err(),
        "another key"
    );
}

#[test]
fn a_mac_in_another_form_is_none() {
    let key = LinkKey::new(&[7; 32]);
    let query = key.query(NAME, 1_000);
    let mac = mac(&query);
    let cut = &mac[..mac.len() - 2];
    let padded = format!("{mac}=");
    let longer = format!("{mac}AAAA");
    for wrong in [
        "",
        "=",
        "AAAA",
        "ä",
        cut,
        &padded,
        &longer,
        &"A".repeat(100_000),
    ] {
        assert!(key.verify(NAME, 1_000, wrong, 0).is_err(), "{wrong:.60}");
    }
}

/// HMAC-SHA256 of the name, a line feed and the expiry, computed elsewhere: links outlive a release.
#[test]
fn the_signature_is_the_one_it_always_was() {
    let query = LinkKey::new(&[7; 32]).query(NAME, 1_000);
    assert_eq!(mac(&query), "ASaykjh-9xf6XoI4gT4LoIyrJuxU6CLh7OYWkYIadXM");
}

#[test]
fn a_link_lives_for_a_second_to_an_hour() {
    assert_eq!(expiry(100, 1).unwrap(), 101);
    assert_eq!(expiry(100, 3_600).unwrap(), 3_700);
    assert!(expiry(100, 0).is_err());
    assert!(expiry(100, 3_601).is_err());
}
